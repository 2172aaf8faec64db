//! A status has several writers, and each keeps its own part.

use dlf_tests::{Bucket, DATASETS, NAMED_WITHIN, Namespace, dataset};
use serde_json::{Value, json};

/// Pods that are admitted and never start.
const WAITING: &str = "apiVersion: v1
kind: Pod
metadata: {name: waiting, labels: {dataset.0.id: books, dataset.0.useas: configmap}}
spec:
  nodeSelector: {dlf-test: nowhere}
  containers: [{name: main, image: nothing, command: [sleep]}]
";

fn condition(kind: &str) -> Value {
    json!({
        "type": kind, "status": "True", "reason": "ByHand", "message": "somebody wrote it",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

fn types(dataset: &Value) -> Vec<&str> {
    let all = dataset["status"]["conditions"].as_array();
    let all = all.into_iter().flatten();
    all.filter_map(|one| one["type"].as_str()).collect()
}

#[test]
fn what_others_write_into_our_part_of_a_status_goes_and_their_own_stays() {
    let (namespace, bucket) = (Namespace::new("status"), Bucket::new("status"));
    let _ = namespace
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    namespace.wait_dataset("books");
    assert_eq!(
        namespace.get(DATASETS, "books")["status"]["usage"],
        Value::Null,
        "no pod has used it"
    );
    // As an earlier version did, which replaced the whole.
    let patch = json!([
        { "op": "add", "path": "/status/conditions/-", "value": condition("SizePending") },
        { "op": "add", "path": "/status/conditions/-", "value": condition("Theirs") },
        { "op": "add", "path": "/status/usage", "value": { "consumers": 0, "bytesRead": 7 } },
        { "op": "replace", "path": "/status/source", "value": "elsewhere" },
    ]);
    let patch = patch.to_string();
    let by_hand = ["--type=json", "--subresource=status", "-p", &patch];
    let _ = namespace
        .kubectl(&[&["patch", DATASETS, "books"], &by_hand[..]].concat())
        .expect_ok();
    let healed = "our part of the status to be as it was";
    let dataset = namespace.await_object(healed, NAMED_WITHIN, DATASETS, "books", |found| {
        let found = found.ok_or("it is gone")?.clone();
        let all = types(&found);
        if all.contains(&"SizePending") || found["status"]["source"] == "elsewhere" {
            return Err(found["status"].to_string());
        }
        Ok(found)
    });
    assert!(types(&dataset).contains(&"Theirs"), "{dataset}");
    assert_eq!(dataset["status"]["usage"]["bytesRead"], 7);

    let _ = namespace.apply(WAITING).expect_ok();
    let _ = namespace.wait_condition(&format!("{DATASETS}/books"), "InUse", "True", NAMED_WITHIN);
    let dataset = namespace.get(DATASETS, "books");
    assert_eq!(dataset["status"]["usage"]["consumers"], 1);
    assert_eq!(
        dataset["status"]["usage"]["bytesRead"], 7,
        "figures never fall"
    );
    for kind in ["Ready", "Provisioned", "SourceReachable", "Theirs"] {
        assert!(types(&dataset).contains(&kind), "{kind}: {dataset}");
    }
}
