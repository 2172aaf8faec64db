//! Labels, annotations and finalizers of ours on objects that are not.

use std::time::Duration;

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, POD_WITHIN, SLEEP, contains, dataset, find, list,
    pod, timeout,
};
use serde_json::{Value, json};

use crate::tenant::{Neighbour, Tenant};

/// A Dataset that nobody uses.
const GONE_WITHIN: Duration = Duration::from_mins(1);

/// What a tenant makes to look as if a neighbour's Dataset had made it.
fn forged(neighbour: &Neighbour, kind: &str, name: &str) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {
            "name": name,
            "labels": {
                "dataset": "books",
                "dlf.dev/dataset-uid": neighbour.uid,
                "dlf.dev/dataset-namespace": neighbour.tenant.namespace.name,
                "dlf.dev/dataset-name": "books",
            },
            "annotations": { "dlf.dev/applied": "0123456789abcdef", "mine": "yes" },
        },
    });
    if kind == "PersistentVolumeClaim" {
        object["spec"] = json!({
            "storageClassName": "none", "accessModes": ["ReadWriteMany"],
            "resources": { "requests": { "storage": "1" } },
        });
    } else {
        object["data"] = json!({ "bucket": "bWluZQ==" });
    }
    object
}

const FORGED: [(&str, &str); 5] = [
    ("ConfigMap", "books"),
    ("Secret", "books"),
    ("Secret", "books-source"),
    ("PersistentVolumeClaim", "books"),
    ("ConfigMap", "another"),
];

/// What identifies each of them, and what is in it.
fn state(namespace: &Namespace) -> Vec<Value> {
    let look = |(kind, name): (&str, &str)| {
        let object = namespace.get(kind, name);
        let metadata = &object["metadata"];
        let deleted = &metadata["deletionTimestamp"];
        let annotations = &metadata["annotations"]["mine"];
        json!([metadata["uid"], deleted, annotations, object["data"]])
    };
    FORGED.into_iter().map(look).collect()
}

#[test]
fn objects_labelled_as_a_neighbours_are_nobodys() {
    let neighbour = Neighbour::new("labelled");
    let thief = Tenant::new("labeller");
    for (kind, name) in FORGED {
        let object = forged(&neighbour, kind, name).to_string();
        let _ = thief.apply(&object).expect_ok();
    }
    let before = state(&thief.namespace);
    // The tenant's own Dataset does not take them for its own.
    let bucket = Bucket::new("labeller");
    let _ = thief.apply(&dataset("books", &bucket.name, "")).expect_ok();
    let kind = format!("{DATASETS}/books");
    let (reason, message) = thief
        .namespace
        .wait_condition(&kind, "Ready", "False", NAMED_WITHIN);
    assert_eq!(reason, "NameTaken", "{message}");
    // The neighbour's goes on, and goes when it is to go, with what it made and nothing else.
    neighbour.is_unharmed();
    let delete = ["delete", DATASETS, "books", &timeout(GONE_WITHIN)];
    let _ = neighbour.tenant.kubectl(&delete).expect_ok();
    let theirs = &neighbour.tenant.namespace;
    for (kind, name) in &FORGED[..4] {
        theirs.wait_gone(kind, name, NAMED_WITHIN);
    }
    assert_eq!(find("pv", "", &neighbour.handle()), None);
    assert_eq!(state(&thief.namespace), before);
    for (kind, name) in FORGED {
        let _ = thief.kubectl(&["delete", kind, name]).expect_ok();
    }
}

#[test]
fn a_pod_that_looks_like_one_of_ours_is_none() {
    let bucket = Bucket::new("disguise");
    let thief = Tenant::new("disguise");
    let namespace = &thief.namespace;
    let _ = thief.apply(&dataset("books", &bucket.name, "")).expect_ok();
    namespace.wait_dataset("books");
    let addresses = || {
        let slices = list("endpointslices", "", "").into_iter();
        let is_ours = |slice: &Value| {
            let name = slice["metadata"]["name"].as_str();
            name.is_some_and(|name| name.starts_with("dlf-"))
        };
        let ours = slices.filter(is_ours);
        ours.map(|slice| slice["endpoints"].to_string())
            .collect::<Vec<_>>()
    };
    // As the operator, the driver, a plugin; stamped as the webhook stamps what uses datasets.
    let mut manifests = Vec::new();
    for component in ["operator", "worker", "csi", "mounter"] {
        let labels = format!(
            "app.kubernetes.io/name: dlf, app.kubernetes.io/component: {component}, app.kubernetes.io/instance: dlf, \
             dlf-plugin-type: caching, dlf-plugin-name: ceph, dlf.dev/uses-datasets: \"true\""
        );
        let disguised = pod(component, &labels, SLEEP, "").replace(
            "  labels:",
            "  annotations: {dlf.dev/volumes: books, dataset.0.path: /data}\n  finalizers: [dlf.dev/dataset]\n  labels:",
        );
        manifests.push(disguised);
    }
    let _ = thief.apply(&manifests.join("---\n")).expect_ok();
    for component in ["operator", "worker", "csi", "mounter"] {
        namespace.wait_ready(component, POD_WITHIN);
        let spec = namespace.get("pod", component)["spec"].to_string();
        assert!(!spec.contains("books"), "{spec}");
        let address = namespace.get("pod", component)["status"]["podIP"].clone();
        // In its quotes: another's may begin with it.
        let address = address.to_string();
        let ours = addresses();
        assert!(!ours.is_empty());
        assert!(!ours.concat().contains(&address), "{ours:?}");
    }
    // Nor do they hold the Dataset.
    let delete = ["delete", DATASETS, "books", &timeout(GONE_WITHIN)];
    let _ = thief.kubectl(&delete).expect_ok();
    // A finalizer is taken off by whoever put it there: ours means nothing on a pod.
    for component in ["operator", "worker", "csi", "mounter"] {
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        let _ = thief
            .kubectl(&["patch", "pod", component, "--type=merge", "-p", patch])
            .expect_ok();
    }
}

#[test]
fn a_finalizer_that_is_taken_off_is_put_back() {
    let bucket = Bucket::new("finalizer");
    let tenant = Tenant::new("finalizer");
    let namespace = &tenant.namespace;
    let _ = tenant
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    namespace.wait_dataset("books");
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    let _ = tenant
        .kubectl(&["patch", DATASETS, "books", "--type=merge", "-p", patch])
        .expect_ok();
    let what = "it to be put back";
    namespace.await_object(what, NAMED_WITHIN, DATASETS, "books", |dataset| {
        let found = &dataset.ok_or("there is none")?["metadata"]["finalizers"];
        contains(&found.to_string(), "dlf.dev/dataset")
    });
}
