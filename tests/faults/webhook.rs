//! Two replicas answer admission; one leads.

use std::time::Duration;

use dlf_tests::{
    DATASETS, Namespace, Reader, await_object, contains, dataset, eventually, list,
    nothing_is_left, on_our_own_cluster,
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    load::Load,
    ours::{is_up, kill_process, leader, ours, signal},
    records::{Lease, container, ended, seconds, time},
};

/// Seconds that the death of a leader may delay anything.
const TAKEN_OVER_WITHIN: i64 = 15;

/// How long is waited for what is promised sooner than that. When it came, the system's own records tell.
const THERE_WITHIN: Duration = Duration::from_mins(1);

#[test]
fn deleting_the_leader_and_rolling_the_operator_out_anew_lose_no_admission_request() {
    if !on_our_own_cluster("it restarts the operator") {
        return;
    }
    let reader = Reader::start("webhook");
    let load = Load::begin(&reader.namespace.name);
    let _ = ours(&["delete", "pod", &leader(), "--wait=false"]);
    load.goes_on();
    is_up("deployment/dlf-operator");
    let _ = ours(&["rollout", "restart", "deployment/dlf-operator"]);
    is_up("deployment/dlf-operator");
    load.goes_on();
    let answers = load.end();
    println!("{} pods were admitted meanwhile", answers.admitted);
    assert!(answers.refused.is_empty(), "{:?}", answers.refused);
    reader.goes_on();
    assert_eq!(reader.errors(), "");
}

#[test]
fn a_killed_leader_delays_nothing_by_more_than_fifteen_seconds() {
    if !on_our_own_cluster("it kills a process") {
        return;
    }
    nothing_is_left(); // what is promised is promised of a leader that has caught up
    let reader = Reader::start("leader");
    let load = Load::begin(&reader.namespace.name);
    let leading = leader();
    let killed = container(&leading);
    kill_process("dlf-operator", &leading);
    // Nobody has followed yet: a process of this pod or of another needs a second at least.
    let before = Lease::read();
    let provisioned = provisioned_at(&reader.namespace, &reader.bucket.name);
    let died = ended(&leading, &killed);
    let took = seconds(died, provisioned);
    println!("a Dataset made after the leader's end was provisioned {took} s after that");
    // The kubelet dates the end and the operator the condition. Between them lies all of the delay: until a
    // webhook took the Dataset, until a leader followed, and what that had to catch up with.
    assert!(took <= TAKEN_OVER_WITHIN, "{died}, {provisioned}");
    assert_followed_in_time(&before, &Lease::read());
    load.goes_on();
    let answers = load.end();
    println!(
        "{} pods were admitted, {} refused",
        answers.admitted,
        answers.refused.len()
    );
    // Pods may be refused while their requests still go to where nobody listens, which is until the dead
    // replica's address is out of the Service or a new process listens there.
    for (refused, why) in &answers.refused {
        contains(why, "dlf.dev").unwrap();
        let after = seconds(died, *refused);
        assert!(after <= TAKEN_OVER_WITHIN, "{after} s after the end: {why}");
    }
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    is_up("deployment/dlf-operator");
}

#[test]
fn when_the_leader_hangs_the_other_replica_takes_over_within_fifteen_seconds() {
    if !on_our_own_cluster("it stops a process") {
        return;
    }
    nothing_is_left();
    let reader = Reader::start("hanging");
    let (namespace, hanging) = (&reader.namespace, leader());
    assert!(signal("STOP", "dlf-operator", &hanging), "nothing to stop");
    // A deletion asks no webhook: half of those that are asked hang with it.
    let _ = namespace
        .kubectl(&["delete", "configmap", "books"])
        .expect_ok();
    let before = Lease::read();
    assert_eq!(before.holder, hanging);
    // The API server dates what is made and not what is deleted.
    let _ = namespace
        .kubectl(&["create", "configmap", "deleted"])
        .expect_ok();
    let made_again = namespace.await_object(
        "it to be made again",
        THERE_WITHIN,
        "configmap",
        "books",
        |found| {
            let found = found.ok_or("there is none")?;
            Ok(time(&found["metadata"]["creationTimestamp"]))
        },
    );
    let deleted = namespace.get("configmap", "deleted");
    let deleted = time(&deleted["metadata"]["creationTimestamp"]);
    let took = seconds(deleted, made_again);
    println!("what was deleted while the leader hung was there again {took} s later");
    assert!(took <= TAKEN_OVER_WITHIN, "{deleted}, {made_again}");
    let leading = Lease::read();
    assert_ne!(leading.holder, hanging);
    assert_followed_in_time(&before, &leading);
    // It goes on where it was, unless the kubelet has given it up already, and leads no more.
    let _ = signal("CONT", "dlf-operator", &hanging);
    is_up("deployment/dlf-operator");
    reader.another_reads();
    assert_eq!(leader(), leading.holder);
    let label = format!("dlf.dev/dataset-namespace={}", namespace.name);
    let volumes = list("persistentvolumes", "", &label);
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    reader.goes_on();
    assert_eq!(reader.errors(), "");
}

/// Nobody led for no longer than the death of a leader may delay anything, if another replica followed. A new
/// process of the same pod knows the Lease for its own, and need not wait: it takes nothing over.
fn assert_followed_in_time(before: &Lease, now: &Lease) {
    if now.holder == before.holder {
        assert_eq!(now.transitions, before.transitions);
        return;
    }
    assert_eq!(now.transitions, before.transitions + 1);
    let vacant = now.vacant_since(before);
    println!("another led {vacant:#} after the last word of the one before");
    assert!(
        vacant <= SignedDuration::from_secs(TAKEN_OVER_WITHIN),
        "{before:?}, {now:?}"
    );
}

/// When a Dataset that is made now was provisioned, by its condition.
fn provisioned_at(namespace: &Namespace, bucket: &str) -> Timestamp {
    let after = dataset("after", bucket, "");
    eventually("a Dataset to be taken", THERE_WITHIN, || {
        let applied = namespace.apply(&after);
        if applied.ok {
            Ok(())
        } else {
            Err(applied.error)
        }
    });
    let object = (DATASETS, namespace.name.as_str(), "after");
    await_object("it to be provisioned", THERE_WITHIN, object, |found| {
        let conditions = found.ok_or("there is none")?["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let is_so = |condition: &&Value| {
            condition["type"] == "Provisioned" && condition["status"] == "True"
        };
        let condition = conditions.find(is_so).ok_or("it is not")?;
        Ok(time(&condition["lastTransitionTime"]))
    })
}
