//! Two replicas answer admission; one leads.

use std::time::{Duration, Instant};

use dlf_tests::{
    DATASETS, Namespace, Reader, contains, dataset, eventually, kubectl, on_our_own_cluster,
};

use crate::{
    load::Load,
    ours::{is_up, kill_process, leader, ours, signal},
};

/// What the death of a leader may delay.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn deleting_the_leader_and_rolling_the_operator_out_anew_lose_no_admission_request() {
    let test = "deleting_the_leader_and_rolling_the_operator_out_anew_lose_no_admission_request";
    if !on_our_own_cluster(test, "it restarts the operator") {
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
    let test = "a_killed_leader_delays_nothing_by_more_than_fifteen_seconds";
    if !on_our_own_cluster(test, "it kills a process") {
        return;
    }
    let reader = Reader::start("leader");
    let namespace = &reader.namespace;
    let load = Load::begin(&namespace.name);
    let killed = (load.elapsed(), Instant::now());
    kill_process("dlf-operator", &leader());
    is_provisioned(namespace, &reader.bucket.name, killed.1);
    load.goes_on();
    let answers = load.end();
    println!(
        "{} pods were admitted, {} refused",
        answers.admitted,
        answers.refused.len()
    );
    for (when, why) in &answers.refused {
        contains(why, "dlf.dev").unwrap();
        assert!(*when < killed.0 + TAKEN_OVER_WITHIN, "{when:?}: {why}");
    }
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    is_up("deployment/dlf-operator");
}

#[test]
fn when_the_leader_hangs_the_other_replica_takes_over_within_fifteen_seconds() {
    let test = "when_the_leader_hangs_the_other_replica_takes_over_within_fifteen_seconds";
    if !on_our_own_cluster(test, "it stops a process") {
        return;
    }
    let reader = Reader::start("hanging");
    let (namespace, hanging) = (&reader.namespace, leader());
    let stopped = Instant::now();
    assert!(signal("STOP", "dlf-operator", &hanging), "nothing to stop");
    // A deletion asks no webhook: half of those that are asked hang with it.
    let _ = namespace
        .kubectl(&["delete", "configmap", "books"])
        .expect_ok();
    eventually("it to be made again", TAKEN_OVER_WITHIN, || {
        let found = namespace.kubectl(&["get", "configmap", "books"]);
        if found.ok { Ok(()) } else { Err(found.error) }
    });
    println!(
        "what was deleted is there again {:.1?} after the leader hung",
        stopped.elapsed()
    );
    let leading = leader();
    assert_ne!(leading, hanging);
    // It goes on where it was, unless the kubelet has given it up already, and leads no more.
    let _ = signal("CONT", "dlf-operator", &hanging);
    is_up("deployment/dlf-operator");
    reader.another_reads();
    assert_eq!(leader(), leading);
    let label = format!("dlf.dev/dataset-namespace={}", namespace.name);
    let volumes = kubectl(&["get", "pv", "-l", &label, "-o", "name"]).expect_ok();
    assert_eq!(volumes.lines().count(), 1, "{volumes}");
    reader.goes_on();
    assert_eq!(reader.errors(), "");
}

/// A Dataset that is made now is provisioned within what the death of a leader may delay.
fn is_provisioned(namespace: &Namespace, bucket: &str, dead_since: Instant) {
    let after = dataset("after", bucket, "");
    eventually("a Dataset to be taken", TAKEN_OVER_WITHIN, || {
        let applied = namespace.apply(&after);
        if applied.ok {
            Ok(())
        } else {
            Err(applied.error)
        }
    });
    let left = TAKEN_OVER_WITHIN.saturating_sub(dead_since.elapsed());
    let kind = format!("{DATASETS}/after");
    let _ = namespace.wait_condition(&kind, "Provisioned", "True", left);
    let took = dead_since.elapsed();
    println!("a Dataset made after the leader was gone was provisioned {took:.1?} after that");
}
