//! A storage plugin that is not compiled in: what it plans is used, and what it owes is not forgotten.

use std::time::Duration;

use dlf_tests::{DATASETS, NAMED_WITHIN, Namespace, contains, dataset, eventually, s3, unique};

use crate::installed::{PluginAway, with_plugins};

/// A plugin that failed again and again is asked after a minute at most, and its pod is back before.
const BACK_WITHIN: Duration = Duration::from_mins(3);

#[test]
fn a_bucket_goes_with_its_dataset_though_the_plugin_that_says_how_is_away_at_first() {
    if !with_plugins() {
        return;
    }
    let namespace = Namespace::new("storage-away");
    let bucket = unique("storage-away");
    let both = ", provision: \"true\", removeOnDelete: \"true\"";
    let routed = "  name: books\n  labels: {planned: elsewhere}\n";
    let manifest = dataset("books", &bucket, both).replace("  name: books\n", routed);
    let _ = namespace.apply(&manifest).expect_ok();
    namespace.wait_dataset("books");
    s3("PUT", &format!("{bucket}/some/object"), b"text").unwrap();

    let away = PluginAway::is("elsewhere");
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books", "--wait=false"])
        .expect_ok();
    let kind = format!("{DATASETS}/books");
    namespace.await_condition(&kind, "Ready", "False", NAMED_WITHIN, |reason, message| {
        contains(reason, "Deleting")
            .and(contains(message, "plugin elsewhere"))
            .and(contains(message, "remove-on-delete"))
    });
    let object = s3("GET", &format!("{bucket}/some/object"), b"");
    assert_eq!(object.as_deref(), Ok(&b"text"[..]));

    drop(away);
    eventually("the Dataset to go", BACK_WITHIN, || {
        let left = namespace.kubectl(&["get", DATASETS, "--output=name"]).text;
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let gone = s3("GET", &format!("{bucket}?list-type=2"), b"").unwrap_err();
    contains(&gone, "NoSuchBucket").unwrap();
}
