//! Plugins that do what they should not: the operator stays up, the Dataset says what they did, and
//! others do not notice.

use std::time::{Duration, Instant};

use dlf_tests::{Bucket, DATASETS, Namespace, contains, dataset, list, pod};
use serde_json::Value;

use crate::{
    installed::{cached, name_in, objects, served, with_plugins},
    reconciles::Reconciles,
};

/// What the plugin does, how the reason begins by which its Dataset names it, and what is said. Each is another
/// Dataset, so that none waits for the one before. Where it answers, its faults before are forgotten: three
/// in a row would have it left alone for a while.
const MISDEEDS: [(&str, &str, &str); 17] = [
    ("panic", "PluginPanicked", ""),
    ("kind", "PlanRefused", "ClusterRole"),
    ("abort", "PluginCrashed", ""),
    ("namespace", "PlanRefused", "kube-system"),
    ("segfault", "PluginCrashed", ""),
    ("name", "PlanRefused", "cache-of-another"),
    ("exit", "PluginCrashed", ""),
    ("field", "PlanRefused", "contaniers"),
    ("secret", "PlanRefused", "Secret"),
    ("late", "PluginTimeout", "no answer within"),
    ("origin", "PlanRefused", "169.254.169.254"),
    ("deep", "Plugin", ""), // its own stack ends before its answer does
    ("fork", "Forked", "processes"),
    // Both are refused memory before their pod's limit is reached, and end.
    ("huge", "PluginCrashed", "SIGABRT"),
    ("leak", "PluginCrashed", "SIGABRT"),
    ("log", "Deploying", ""),
    ("loop", "PluginTimeout", "no answer within"),
];

/// Reasons whose message names the Dataset.
const IS_BLAMED: [&str; 2] = ["PluginTimeout", "PluginCrashed"];

/// With its pauses, a plugin that failed is asked again within this.
const NAMED_WITHIN: Duration = Duration::from_mins(4);

/// How long `count` Datasets take, one after the other, until pods can use them; sorted.
fn times(namespace: &Namespace, bucket: &Bucket, purpose: &str, count: usize) -> Vec<Duration> {
    let one = |number: usize| {
        let name = format!("{purpose}-{number}");
        let began = Instant::now();
        let _ = namespace
            .apply(&dataset(&name, &bucket.name, ""))
            .expect_ok();
        namespace.wait_dataset(&name);
        began.elapsed()
    };
    let mut times: Vec<Duration> = (0..count).map(one).collect();
    times.sort_unstable();
    times
}

/// Names of the operator's pods, and how often each has restarted.
fn operator_pods() -> Vec<(String, Value)> {
    let pods = list("pods", "dlf-system", "app.kubernetes.io/component=operator");
    let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].clone();
    // One of the revision before may still be ending when the test begins.
    let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    pods.iter()
        .filter(stays)
        .map(|pod| (name_in(pod), restarts(pod)))
        .collect()
}

#[test]
fn a_hostile_plugin_is_named_and_harms_nobody() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("hostile");
    let namespace = Namespace::new("hostile");
    let operator = operator_pods();
    let began = Reconciles::so_far();
    let quiet = times(&namespace, &bucket, "quiet", 20);
    let quiet_reconciles = Reconciles::so_far().p99_since(&began);
    for (misdeed, expected, part) in MISDEEDS {
        let manifest = cached("victim", &bucket.name, "hostile").replace(
            "  name: victim\n",
            &format!("  name: victim\n  labels: {{do: {misdeed}}}\n"),
        );
        let _ = namespace.apply(&manifest).expect_ok();
        let what = format!("{expected} for {misdeed}");
        let message = namespace.await_object(&what, NAMED_WITHIN, DATASETS, "victim", |victim| {
            let conditions = &victim.ok_or("there is none")?["status"]["conditions"];
            let mut all = conditions.as_array().into_iter().flatten();
            let found = all.find(|one| one["type"] == "CacheReady");
            let text = |key: &str| found.and_then(|one| one[key].as_str()).unwrap_or_default();
            if text("reason").starts_with(expected) {
                Ok(text("message").to_owned())
            } else {
                Err(conditions.to_string())
            }
        });
        contains(&message, "plugin hostile").unwrap();
        contains(&message, part).unwrap();
        if IS_BLAMED.contains(&expected) {
            contains(
                &message,
                &format!("its plan for {}/victim failed", namespace.name),
            )
            .unwrap();
        }
        // What the cache does is no reason for the data not to be there.
        namespace.wait_dataset("victim");
        let made = objects(&namespace);
        assert!(
            made.iter()
                .all(|object| object.starts_with("networkpolicy")),
            "{misdeed}: {made:?}"
        );
        println!("{misdeed}: {message}");
        if misdeed == "loop" {
            let began = Reconciles::so_far();
            let hostile = times(&namespace, &bucket, "loop", 20);
            let ms = |times: &[Duration], at: usize| times[at].as_millis();
            let (loud, count) = Reconciles::so_far().p99_since(&began);
            println!(
                "p99 of the reconciles of Datasets: at most {} ms, of {}; beside a plugin that loops at most {loud} ms, \
                 of {count}",
                quiet_reconciles.0, quiet_reconciles.1
            );
            println!(
                "a Dataset of others, created until usable, of 20: p50 {} ms and worst {} ms; beside a plugin that \
                 loops {} and {} ms",
                ms(&quiet, 10),
                ms(&quiet, 19),
                ms(&hostile, 10),
                ms(&hostile, 19)
            );
        }
        let _ = namespace
            .kubectl(&["delete", DATASETS, "victim"])
            .expect_ok();
    }
    assert_eq!(operator_pods(), operator, "no operator restarted");
}

#[test]
fn a_cache_through_which_nothing_comes_is_not_ready() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("silent");
    for file in 0..60 {
        bucket.put(&format!("{file}.txt"), b"text\n");
    }
    let namespace = Namespace::new("silent");
    let _ = namespace
        .apply(&cached("books", &bucket.name, "silent"))
        .expect_ok();
    let _ = served(&namespace, "books");
    // Each file once: what was read before need not be asked for again.
    let reads = "for file in /mnt/datasets/books/*.txt; do cat $file; sleep 1; done";
    let reader = pod("reader", "dataset.0.id: books", reads, "");
    let _ = namespace.apply(&reader).expect_ok();
    let kind = format!("{DATASETS}/books");
    namespace.await_condition(
        &kind,
        "CacheReady",
        "False",
        NAMED_WITHIN,
        |reason, message| {
            contains(reason, "NotServing")
                .and(contains(message, "read from the source"))
                .and(contains(message, ".svc:80"))
        },
    );
    contains(&namespace.events("books"), "NotServing").unwrap();
    // What the cache does is no reason for the data not to be there.
    namespace.wait_dataset("books");
}

#[test]
fn a_cache_whose_image_is_nowhere_says_so() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("no-image");
    let namespace = Namespace::new("no-image");
    let manifest = cached("books", &bucket.name, "silent")
        .replace("  name: books\n", "  name: books\n  labels: {do: image}\n");
    let _ = namespace.apply(&manifest).expect_ok();
    let kind = format!("{DATASETS}/books");
    namespace.await_condition(
        &kind,
        "CacheReady",
        "False",
        NAMED_WITHIN,
        |reason, message| {
            contains(reason, "NotStarting")
                .and(contains(message, "plugin silent"))
                .and(contains(message, "registry.invalid/no-such-image"))
        },
    );
    namespace.wait_dataset("books");
}
