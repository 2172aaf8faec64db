//! Two replicas answer admission; one leads.

use std::time::{Duration, Instant};

use dlf_tests::{DATASETS, contains, dataset, eventually, on_our_own_cluster};

use crate::{
    load::Load,
    ours::{is_up, kill_process, leader, ours},
    reader::Reader,
};

/// What the death of a leader may delay.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn deleting_the_leader_and_rolling_the_operator_out_anew_lose_no_admission_request() {
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
    let after = dataset("after", &reader.bucket.name, "");
    eventually("a Dataset to be taken", TAKEN_OVER_WITHIN, || {
        let applied = namespace.apply(&after);
        if applied.ok {
            Ok(())
        } else {
            Err(applied.error)
        }
    });
    let left = TAKEN_OVER_WITHIN.saturating_sub(killed.1.elapsed());
    let kind = format!("{DATASETS}/after");
    let _ = namespace.wait_condition(&kind, "Provisioned", "True", left);
    let took = killed.1.elapsed();
    println!("a Dataset made after the leader was killed was provisioned {took:.1?} after that");
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
