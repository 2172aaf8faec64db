//! A Dataset over which a plugin loops is named, and is nobody else's trouble.

use std::time::{Duration, Instant};

use dlf_tests::{Bucket, DATASETS, Namespace, contains, list};
use serde_json::Value;

use crate::installed::{cached, leader_says, with_plugins};

/// From a Dataset's creation until its plan, beside one of the same plugin that loops: a deadline of 5 s, the
/// plugin's start and the operator's own work.
const PLANNED_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn a_looping_dataset_of_a_library_delays_no_other_of_the_same_plugin() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("looping");
    let namespace = Namespace::new("looping");
    let restarts = || {
        let pods = list(
            "pods",
            "dlf-system",
            "app.kubernetes.io/component=plugin-silent",
        );
        let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].clone();
        pods.iter().map(restarts).collect::<Vec<_>>()
    };
    let before = restarts();
    let labelled = |name: &str, what: &str| {
        cached(name, &bucket.name, "silent").replace(
            &format!("  name: {name}\n"),
            &format!("  name: {name}\n  labels: {{do: {what}}}\n"),
        )
    };
    let _ = namespace.apply(&labelled("culprit", "loop")).expect_ok();
    let culprit = format!("{DATASETS}/culprit");
    namespace.await_condition(
        &culprit,
        "CacheReady",
        "False",
        PLANNED_WITHIN,
        |reason, message| {
            let named = format!("its plan for {}/culprit failed", namespace.name);
            contains(reason, "PluginTimeout")
                .and(contains(message, &named))
                .and(contains(message, "it is asked for again at"))
        },
    );
    let mut times = Vec::new();
    for number in 0..10 {
        let name = format!("other-{number}");
        let began = Instant::now();
        // A plan of nothing: that it was planned at all is what its condition says then.
        let _ = namespace.apply(&labelled(&name, "nothing")).expect_ok();
        let kind = format!("{DATASETS}/{name}");
        let deploys = |reason: &str, message: &str| {
            contains(reason, "Deploying").and(contains(message, "plugin silent"))
        };
        namespace.await_condition(&kind, "CacheReady", "False", PLANNED_WITHIN, deploys);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "a Dataset, created until planned, beside one of the same plugin that loops, of 10: p50 {} ms and worst {} ms",
        times[5].as_millis(),
        times[9].as_millis()
    );
    assert_eq!(restarts(), before, "no pod of the plugin restarted");
    let plugins: Vec<Value> = serde_json::from_str(&leader_says("debug/plugins")).unwrap();
    let silent = plugins.iter().find(|plugin| plugin["name"] == "silent");
    let over = &silent.unwrap()["failedOver"][0];
    assert_eq!(over["dataset"], format!("{}/culprit", namespace.name));
    assert_eq!(over["reason"], "PluginTimeout");
}
