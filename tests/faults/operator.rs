//! The operator away, and its leader killed.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use dlf_tests::{
    Bucket, DATASETS, Namespace, POD_WITHIN, Reader, contains, dataset, eventually, kubectl_with,
    on_our_own_cluster, pod,
};
use serde_json::Value;

use crate::ours::{is_up, kill_pod, leader, made, ours};

/// A dead leader is noticed after 15 s; then there is work to catch up with.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(2);

/// No operator runs, until this is dropped.
struct NoOperator;

impl NoOperator {
    fn at_all() -> Self {
        let away = Self;
        let _ = ours(&["scale", "deployment/dlf-operator", "--replicas=0"]);
        let pods = ["-l", "app.kubernetes.io/component=operator"];
        let kill = ["delete", "pod", "--force", "--grace-period=0"];
        let _ = ours(&[&kill[..], &pods].concat());
        away
    }
}

impl Drop for NoOperator {
    fn drop(&mut self) {
        let _ = ours(&["scale", "deployment/dlf-operator", "--replicas=2"]);
        is_up("deployment/dlf-operator");
    }
}

#[test]
fn without_an_operator_mounts_go_on_and_only_pods_that_ask_for_datasets_are_refused() {
    if !on_our_own_cluster("it stops the operator") {
        return;
    }
    let reader = Reader::start("away");
    {
        let _away = NoOperator::at_all();
        let namespace = &reader.namespace;
        let asks = pod("asks", "dataset.0.id: books", "true", "");
        eventually("a refusal that names the webhook", POD_WITHIN, || {
            let dry = [
                "-n",
                &namespace.name,
                "apply",
                "--dry-run=server",
                "-f",
                "-",
            ];
            contains(&kubectl_with(&dry, &asks).error, "pods.dlf.dev")
        });
        let _ = namespace.apply(&asks).expect_refused();
        let plain = namespace.run_pod("plain", "app: plain", "echo started", "");
        assert_eq!(plain, "started\n");
        reader.goes_on();
        reader.bucket.put("new.txt", b"new\n");
        let read = namespace.exec("loop", "cat /mnt/datasets/books/new.txt");
        assert_eq!(read.expect_ok(), "new\n");
    }
    assert_eq!(reader.errors(), "");
    eventually("pods to be admitted again", POD_WITHIN, || {
        let asks = pod("asks", "dataset.0.id: books", "true", "");
        let applied = reader.namespace.apply(&asks);
        if applied.ok {
            Ok(())
        } else {
            Err(applied.error)
        }
    });
    reader.namespace.wait_phase("asks", "Succeeded", POD_WITHIN);
}

const MANY: usize = 50;

#[test]
fn when_the_leader_dies_amid_fifty_new_datasets_all_become_ready_and_nothing_is_made_twice() {
    if !on_our_own_cluster("it kills the operator") {
        return;
    }
    let (namespace, bucket) = (Namespace::new("many"), Bucket::new("many"));
    let mut manifests = String::new();
    for number in 0..MANY {
        let place = format!("{}/p{number}", bucket.name);
        let one = dataset(&format!("d{number}"), &place, "");
        let _ = writeln!(manifests, "{one}---");
    }
    let before = leader();
    let killed_at = std::thread::scope(|scope| {
        let applied = scope.spawn(|| namespace.apply(&manifests));
        let made = eventually("some to be made", POD_WITHIN, || {
            let made = made("persistentvolumes", &namespace);
            if made >= 5 {
                Ok(made)
            } else {
                Err(made.to_string())
            }
        });
        kill_pod(&before);
        let _ = applied.join().unwrap().expect_ok();
        made
    });
    assert!(
        killed_at < MANY,
        "all were made before the leader was killed"
    );
    eventually("all to be ready", CAUGHT_UP_WITHIN, || {
        let listed = namespace.list(DATASETS, "");
        let is_ready = |dataset: &&Value| dataset["status"]["provision"]["status"] == "OK";
        match listed.iter().filter(is_ready).count() {
            MANY => Ok(()),
            ready => Err(format!("{ready} of {MANY}")),
        }
    });
    assert_ne!(leader(), before);
    let found: BTreeMap<&str, usize> = [
        ("persistentvolumes", MANY),
        ("persistentvolumeclaims", MANY),
        ("configmaps", MANY),
        ("secrets", 2 * MANY), // what consumers read, and inline keys
    ]
    .into_iter()
    .filter(|(kind, wanted)| made(kind, &namespace) != *wanted)
    .collect();
    assert!(found.is_empty(), "not as many as wanted: {found:?}");
    for number in [0, MANY / 2, MANY - 1] {
        namespace.wait_bound(&format!("d{number}"));
    }
}
