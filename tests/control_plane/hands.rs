//! What people do by hand to what a Dataset makes.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, SLEEP, contains, dataset, dataset_with_secret, keys,
    pod, settings,
};
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
        "Provisioned",
        "False",
        NAMED_WITHIN,
        |reason, message| contains(reason, "NameTaken").and(contains(message, "ConfigMap books")),
    );
    // Pods need it in their environment only, and can mount the Dataset all the same.
    namespace.wait_dataset("books");
    assert_eq!(namespace.get("configmap", "books")["data"]["mine"], "yes");
    let _ = namespace
        .kubectl(&["delete", "configmap", "books"])
        .expect_ok();
    let _ = namespace.wait_condition(&dataset, "Provisioned", "True", NAMED_WITHIN);
}

#[test]
fn the_secret_of_keys_may_have_the_datasets_name() {
    let bucket = Bucket::new("namesake");
    let namespace = Namespace::new("namesake");
    let settings = settings();
    let secret = keys("books", &settings.get("S3_KEY"), &settings.get("S3_SECRET"));
    let _ = namespace.apply(&secret).expect_ok();
    let before = namespace.get("secret", "books");
    let _ = namespace
        .apply(&dataset_with_secret("books", &bucket.name, "books"))
        .expect_ok();
    namespace.wait_dataset("books");
    let kind = format!("{DATASETS}/books");
    let _ = namespace.wait_condition(&kind, "Provisioned", "True", NAMED_WITHIN);
    let labels = "dataset.0.id: books, dataset.0.useas: configmap";
    let _ = namespace.apply(&pod("uses", labels, SLEEP, "")).expect_ok();
    let container = &namespace.get("pod", "uses")["spec"]["containers"][0];
    let key = json!({ "name": "books", "key": "accessKeyID", "optional": false });
    let variable = json!({ "name": "books_accessKeyID", "valueFrom": { "secretKeyRef": key } });
    let env = container["env"].as_array().unwrap();
    assert!(env.contains(&variable), "{env:#?}");
    let _ = namespace
        .kubectl(&["delete", "pod", "uses", "--now"])
        .expect_ok();
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books"])
        .expect_ok();
    // It is the user's, and stays.
    assert_eq!(namespace.get("secret", "books"), before);
}
