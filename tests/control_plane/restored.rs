//! What a backup brings back: objects of a Dataset that is no more, beside a Dataset of its name.

use std::time::Duration;

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, await_object, dataset, find, kubectl_with,
};
use serde_json::{Value, json};

const GONE_WITHIN: Duration = Duration::from_mins(1);

const UID: &str = "dlf.dev/dataset-uid";

/// An object as Velero restores it: what binds claim and volume is left to Kubernetes.
fn saved(mut object: Value) -> Value {
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
        "finalizers",
    ] {
        metadata.remove(field);
    }
    if let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") {
        annotations.retain(|key, _| !key.starts_with("pv.kubernetes.io/"));
    }
    if let Some(Value::Object(claim)) = object.pointer_mut("/spec/claimRef") {
        claim.remove("uid");
        claim.remove("resourceVersion");
    }
    object
}

#[test]
fn what_a_backup_brought_back_is_made_anew_and_what_may_hold_data_is_left_alone() {
    let bucket = Bucket::new("restored");
    let namespace = Namespace::new("restored");
    let books = dataset("books", &bucket.name, "");
    let _ = namespace.apply(&books).expect_ok();
    namespace.wait_dataset("books");
    namespace.wait_bound("books");
    let parts = [
        ("configmap", "books"),
        ("secret", "books"),
        ("secret", "books-source"),
        ("pvc", "books"),
    ];
    let claim = namespace.get("pvc", "books");
    let (volume, old) = (
        &claim["spec"]["volumeName"],
        &claim["metadata"]["labels"][UID],
    );
    let volume = volume.as_str().unwrap();
    let mut backup: Vec<Value> = vec![find("pv", "", volume).unwrap()];
    backup.extend(parts.map(|(kind, name)| namespace.get(kind, name)));
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books"])
        .expect_ok();
    for (kind, name) in parts {
        namespace.wait_gone(kind, name, GONE_WITHIN);
    }
    assert_eq!(find("pv", "", volume), None);

    let backup: Vec<Value> = backup.into_iter().map(saved).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": backup }).to_string();
    let _ = kubectl_with(&["create", "-f", "-"], &list).expect_ok();
    namespace.wait_bound("books");
    // Its labels are the same, and there may be data behind it.
    let data = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "photos", "namespace": namespace.name,
            "labels": {
                UID: old, "dlf.dev/dataset-namespace": namespace.name, "dlf.dev/dataset-name": "photos",
            },
        },
        "spec": {
            "accessModes": ["ReadWriteMany"], "storageClassName": "somebodys",
            "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let _ = kubectl_with(&["create", "-f", "-"], &data.to_string()).expect_ok();
    let photos = books.replace("name: books", "name: photos");
    let _ = namespace
        .apply(&format!("{books}---\n{photos}"))
        .expect_ok();
    namespace.wait_dataset("books");
    namespace.wait_bound("books");
    for (kind, name) in parts {
        let now = &namespace.get(kind, name)["metadata"]["labels"][UID];
        assert_ne!(now, old, "{kind} {name}");
    }
    let old_volume = ("pv", "", volume);
    await_object("the old volume to go", GONE_WITHIN, old_volume, |found| {
        found.map_or(Ok(()), |volume| Err(volume["status"].to_string()))
    });
    let kind = format!("{DATASETS}/photos");
    let (reason, message) = namespace.wait_condition(&kind, "Ready", "False", NAMED_WITHIN);
    assert_eq!(reason, "NameTaken", "{message}");
    let claim = ["delete", "pvc", "photos", "--wait=false"];
    let _ = namespace.kubectl(&claim).expect_ok();
    namespace.wait_dataset("photos");
}
