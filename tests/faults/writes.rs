//! The leader killed between any two of its writes, on the way in and on the way out.

use std::{fmt::Write, time::Duration};

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, contains, dataset, eventually, on_our_own_cluster,
};

use crate::{
    ours::{is_up, kill_pod, leader, made, names},
    refusals::{POLICY, Refusal, Refusals},
};

/// A new leader after 15 s, and back-off of what was refused again and again.
const HEALED_WITHIN: Duration = Duration::from_mins(2);

const KEYS: &str = "request.name.endsWith('-source')";
const CONSUMER: &str = "request.name == variables.dataset";
const OURS: &str = "request.namespace == 'dlf-system'";

/// Each write of a creation, in order; a Dataset each.
const CREATION: [Refusal; 11] = [
    Refusal::of("finalizer", "UPDATE", "datasets"),
    Refusal::of("keys", "CREATE", "secrets").where_object(KEYS),
    Refusal::of("internal", "CREATE", "datasetsinternal"),
    Refusal::of("kept", "CREATE", "secrets").where_object(OURS),
    Refusal::of("claim", "CREATE", "persistentvolumeclaims"),
    Refusal::of("volume", "CREATE", "persistentvolumes"),
    Refusal::of("bind", "UPDATE", "persistentvolumeclaims"),
    Refusal::of("map", "CREATE", "configmaps"),
    Refusal::of("consumer", "CREATE", "secrets").where_object(CONSUMER),
    Refusal::of("effective", "UPDATE", "datasetsinternal/status"),
    Refusal::of("status", "UPDATE", "datasets/status"),
];

/// Each write of a deletion.
const DELETION: [Refusal; 8] = [
    Refusal::of("internal", "DELETE", "datasetsinternal"),
    Refusal::of("claim", "DELETE", "persistentvolumeclaims"),
    Refusal::of("volume", "DELETE", "persistentvolumes"),
    Refusal::of("map", "DELETE", "configmaps"),
    Refusal::of("keys", "DELETE", "secrets").where_object(KEYS),
    Refusal::of("consumer", "DELETE", "secrets").where_object(CONSUMER),
    Refusal::of("kept", "DELETE", "secrets").where_object(OURS),
    Refusal::of("finalizer", "UPDATE", "datasets"),
];

#[test]
fn a_leader_killed_between_any_two_writes_leaves_nothing_half_made_and_nothing_half_gone() {
    if !on_our_own_cluster("it kills the operator") {
        return;
    }
    let (namespace, bucket) = (Namespace::new("writes"), Bucket::new("writes"));
    let mut manifests = String::new();
    for refusal in &CREATION {
        let more = match refusal.dataset {
            // Of the second all keys are gone when its finalizer is not.
            "kept" | "finalizer" => ", removeOnDelete: 'true'",
            _ => "",
        };
        let _ = writeln!(
            manifests,
            "{}---",
            dataset(refusal.dataset, &bucket.name, more)
        );
    }
    {
        let _refused = Refusals::begin(&CREATION);
        let _ = namespace.apply(&manifests).expect_ok();
        for dataset in [
            "keys", "internal", "claim", "volume", "map", "consumer", "kept",
        ] {
            names_the_refusal(&namespace, dataset);
        }
        let made = all_made(&namespace);
        assert!(
            made.iter().all(|(_, count)| *count < CREATION.len()),
            "{made:?}"
        );
        kill_pod(&leader());
    }
    for refusal in &CREATION {
        let kind = format!("{DATASETS}/{}", refusal.dataset);
        let _ = namespace.wait_condition(&kind, "Ready", "True", HEALED_WITHIN);
        namespace.wait_bound(refusal.dataset);
    }
    let all = CREATION.len();
    let wanted = [
        ("persistentvolumeclaims", all),
        ("persistentvolumes", all),
        ("configmaps", all),
        ("secrets", 2 * all + 2), // inline keys and what consumers read, and what two keep
        ("datasetsinternal.com.ie.ibm.hpsys", all),
    ];
    assert_eq!(all_made(&namespace), wanted);
    is_up("deployment/dlf-operator");
    {
        let _refused = Refusals::begin(&DELETION);
        let _ = namespace
            .kubectl(&["delete", DATASETS, "--all", "--wait=false"])
            .expect_ok();
        let mut stuck: Vec<&str> = DELETION.iter().map(|refusal| refusal.dataset).collect();
        stuck.sort_unstable();
        eventually("all others to go", NAMED_WITHIN, || {
            let left = namespace.list(DATASETS, "");
            let left = names(&left);
            if left == stuck {
                Ok(())
            } else {
                Err(left.join(" "))
            }
        });
        kill_pod(&leader());
    }
    for refusal in &DELETION {
        namespace.wait_gone(DATASETS, refusal.dataset, HEALED_WITHIN);
    }
    assert_eq!(namespace.traces(), "");
    is_up("deployment/dlf-operator");
}

fn names_the_refusal(namespace: &Namespace, dataset: &str) {
    let kind = format!("{DATASETS}/{dataset}");
    let look = |reason: &str, message: &str| {
        contains(reason, "RefusedByCluster")?;
        contains(message, POLICY)
    };
    namespace.await_condition(&kind, "Ready", "False", NAMED_WITHIN, look);
}

/// How many objects of each kind the operator made for Datasets of a namespace.
fn all_made(namespace: &Namespace) -> [(&'static str, usize); 5] {
    [
        "persistentvolumeclaims",
        "persistentvolumes",
        "configmaps",
        "secrets",
        "datasetsinternal.com.ie.ibm.hpsys",
    ]
    .map(|kind| (kind, made(kind, namespace)))
}
