//! What people do by hand to what a Dataset makes.

use dlf_tests::{Bucket, DATASETS, NAMED_WITHIN, Namespace, contains, dataset};
use serde_json::json;

#[test]
fn what_is_deleted_or_spoilt_by_hand_is_made_again() {
    let bucket = Bucket::new("byhand");
    let namespace = Namespace::new("byhand");
    let _ = namespace
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    namespace.wait_dataset("books");
    for (kind, name) in [
        ("configmap", "books"),
        ("secret", "books"),
        ("secret", "books-source"),
        ("pvc", "books"),
        ("datasetinternal", "books"),
    ] {
        let before = namespace.get(kind, name)["metadata"]["uid"].clone();
        let _ = namespace
            .kubectl(&["delete", kind, name, "--wait=false"])
            .expect_ok();
        let _ = namespace.wait_made_again(kind, name, &before);
    }
    namespace.wait_bound("books");
    let spoilt = json!({ "data": { "bucket": "spoilt" } });
    namespace.patch("configmap", "books", &spoilt);
    let what = "the ConfigMap to be put right";
    namespace.await_object(what, NAMED_WITHIN, "configmap", "books", |map| {
        let data = &map.ok_or("there is none")?["data"];
        if data["bucket"] == bucket.name.as_str() {
            Ok(())
        } else {
            Err(data.to_string())
        }
    });
}

#[test]
fn what_was_there_before_is_left_alone_and_reported() {
    let bucket = Bucket::new("foreign");
    let namespace = Namespace::new("foreign");
    let _ = namespace
        .kubectl(&["create", "configmap", "books", "--from-literal=mine=yes"])
        .expect_ok();
    let _ = namespace
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    let dataset = format!("{DATASETS}/books");
    namespace.await_condition(
        &dataset,
        "Ready",
        "False",
        NAMED_WITHIN,
        |reason, message| contains(reason, "NameTaken").and(contains(message, "ConfigMap books")),
    );
    assert_eq!(namespace.get("configmap", "books")["data"]["mine"], "yes");
    let _ = namespace
        .kubectl(&["delete", "configmap", "books"])
        .expect_ok();
    namespace.wait_dataset("books");
}
