//! What a cache owes its source, and those who were told of it.

use std::time::Duration;

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, POD_WITHIN, contains, eventually, pod, settings,
    unique,
};

use crate::installed::{CACHED_WITHIN, cached, name_of, objects, served, wait_gone, with_plugins};

/// A bucket that was not there is looked for again within this.
const FOUND_WITHIN: Duration = Duration::from_mins(1);

#[test]
fn nothing_is_deployed_for_a_bucket_that_is_not_there() {
    if !with_plugins() {
        return;
    }
    let namespace = Namespace::new("early");
    let name = unique("early");
    let _ = namespace
        .apply(&cached("books", &name, "nginx"))
        .expect_ok();
    let kind = format!("{DATASETS}/books");
    namespace.await_condition(
        &kind,
        "CacheReady",
        "False",
        NAMED_WITHIN,
        |reason, message| {
            contains(reason, "SourceNotReachable").and(contains(message, "NoSuchBucket"))
        },
    );
    assert_eq!(objects(&namespace), Vec::<String>::new());
    let _bucket = Bucket::at(&settings().get("S3_ENDPOINT"), &name);
    let _ = namespace.wait_condition(&kind, "SourceReachable", "True", FOUND_WITHIN);
    let endpoint = served(&namespace, "books");
    contains(&objects(&namespace).join(" "), &name_of(&endpoint)).unwrap();
}

#[test]
fn a_withdrawn_cache_stays_while_an_environment_has_its_address() {
    if !with_plugins() {
        return;
    }
    let bucket = Bucket::new("told");
    bucket.put("kept.txt", b"the text\n");
    let namespace = Namespace::new("told");
    let _ = namespace
        .apply(&cached("books", &bucket.name, "nginx"))
        .expect_ok();
    let endpoint = served(&namespace, "books");
    let labels = "dataset.0.id: books, dataset.0.useas: configmap";
    let asks = "ask() { curl -sS --fail-with-body --max-time 10 --aws-sigv4 aws:amz:us-east-1:s3 \
                -u $DATASET_0_ACCESS_KEY_ID:$DATASET_0_SECRET_ACCESS_KEY $DATASET_0_ENDPOINT/$DATASET_0_BUCKET/kept.txt; }";
    // A node's proxy knows of a pod that is ready some moments after the API server does.
    let script = format!(
        "{asks}; trap \"exit 0\" TERM; echo $DATASET_0_ENDPOINT > /tmp/endpoint; \
         until ask; do sleep 1; done; touch /tmp/ready; \
         while true; do ask >> /tmp/read || echo failed >> /tmp/failed; sleep 0.2; done"
    );
    let _ = namespace
        .apply(&pod("told", labels, &script, ""))
        .expect_ok();
    let says = |script: &str| namespace.exec("told", script).text;
    eventually("the pod to read", POD_WITHIN, || {
        contains(&says("ls /tmp"), "ready")
    });
    assert_eq!(says("cat /tmp/endpoint").trim(), endpoint);

    let edit = r#"{"spec":{"cache":{"mode":"Off"}}}"#;
    let _ = namespace
        .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", edit])
        .expect_ok();
    eventually("an event of who keeps the cache", CACHED_WITHIN, || {
        let events = namespace.events("books");
        contains(&events, "CacheHeld").and(contains(&events, "minutes: told"))
    });
    // Who comes now is told of the source.
    let log = namespace.run_pod("later", labels, "echo $DATASET_0_ENDPOINT", "");
    assert_eq!(log.trim(), settings().get("S3_ENDPOINT"));
    let reads = || says("wc -l < /tmp/read").trim().parse::<u64>().unwrap();
    let before = reads();
    eventually("more reads through the cache", POD_WITHIN, || {
        let more = reads() - before;
        if more > 50 {
            Ok(())
        } else {
            Err(more.to_string())
        }
    });
    assert_eq!(says("cat /tmp/failed 2>/dev/null || true"), "");
    assert_ne!(objects(&namespace), Vec::<String>::new());

    let _ = namespace.kubectl(&["delete", "pod", "told"]).expect_ok();
    wait_gone(&namespace, "cache-");
}

#[test]
fn a_cache_goes_whose_plugin_is_there_no_more() {
    if !with_plugins() {
        return;
    }
    let (bucket, namespace) = (Bucket::new("unplanned"), Namespace::new("unplanned"));
    let _ = namespace
        .apply(&cached("books", &bucket.name, "nginx"))
        .expect_ok();
    let _ = served(&namespace, "books");
    let edit = r#"{"spec":{"cache":{"plugin":"taken-away"}}}"#;
    let _ = namespace
        .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", edit])
        .expect_ok();
    let kind = format!("{DATASETS}/books");
    let (reason, message) = namespace.wait_condition(&kind, "CacheReady", "False", NAMED_WITHIN);
    assert_eq!(reason, "UnknownPlugin", "{message}");
    contains(&message, "taken-away").unwrap();
    eventually("its objects to go", CACHED_WITHIN, || {
        let left = objects(&namespace);
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(" "))
        }
    });
}
