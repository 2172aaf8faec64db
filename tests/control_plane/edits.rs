//! Edits of a Dataset reach what it makes; nothing is deleted for them.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, contains, dataset, is_given, on_our_own_cluster,
    settings, source,
};
use serde_json::{Value, json};

/// Waits until a value that `configmap` pods see, encoded where a Secret has it, is this one.
fn await_shown(namespace: &Namespace, kind: &str, key: &str, value: &Value) {
    let what = format!("{key} {value}");
    namespace.await_object(&what, NAMED_WITHIN, kind, "books", |object| {
        let found = object.map(|object| &object["data"][key]);
        if found == Some(value) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

#[test]
fn every_field_of_the_source_and_its_type_reach_config_map_and_secret() {
    if !on_our_own_cluster("it needs a host path that the configuration allows") {
        return;
    }
    let (one, other) = (Bucket::new("one"), Bucket::new("other"));
    let namespace = Namespace::new("host-path-edits");
    let plain = dataset("books", &one.name, "");
    let endpoint = settings().get("S3_ENDPOINT");
    let by_name = endpoint.replace(
        &settings().get("NFS_SERVER"), // the same address
        &settings().get("S3_HOST"),
    );
    let _ = namespace.apply(&plain).expect_ok();
    namespace.wait_dataset("books");
    let (claim, volume) = (
        namespace.get("pvc", "books")["metadata"]["uid"].clone(),
        namespace.get("pvc", "books")["spec"]["volumeName"].clone(),
    );
    let edits = [
        (
            plain.replace(&one.name, &other.name),
            "bucket",
            &*other.name,
        ),
        (
            dataset("books", &one.name, ", folder: a/b"),
            "folder",
            "a/b",
        ),
        (plain.replace(&endpoint, &by_name), "endpoint", &by_name),
        (
            plain.replace("region: \"\"", "region: us-east-1"),
            "region",
            "us-east-1",
        ),
        (
            dataset("books", &one.name, ", readonly: \"true\""),
            "readonly",
            "true",
        ),
        (
            source(
                "books",
                "type: HOST, path: /var/tmp/dlf-scratch/edits, hostPathType: CreateNew",
            ),
            "path",
            "/var/tmp/dlf-scratch/edits",
        ),
        (plain.clone(), "bucket", &*one.name),
    ];
    for (manifest, key, value) in edits {
        let _ = namespace.apply(&manifest).expect_ok();
        namespace.wait_dataset("books");
        await_shown(&namespace, "configmap", key, &json!(value));
    }
    let map = namespace.get("configmap", "books");
    assert_eq!(map["data"]["path"], Value::Null);
    let after = namespace.get("pvc", "books");
    assert_eq!(after["metadata"]["uid"], claim, "the claim is the same");
    assert_eq!(after["spec"]["volumeName"], volume);
    namespace.wait_bound("books");
}

#[test]
fn keys_that_change_reach_the_consumers_secret() {
    if !is_given(&["S3_READER_KEY", "S3_READER_SECRET"]) {
        return;
    }
    let (namespace, bucket) = (Namespace::new("keys"), Bucket::new("keys"));
    let _ = namespace
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    namespace.wait_dataset("books");
    let reader = settings().get("S3_READER_KEY");
    let local =
        json!({ "accessKeyID": reader, "secretAccessKey": settings().get("S3_READER_SECRET") });
    namespace.patch(DATASETS, "books", &json!({ "spec": { "local": local } }));
    let expected = namespace.kubectl(&[
        "create",
        "secret",
        "generic",
        "expected",
        "--dry-run=client",
        "-o",
        "json",
        &format!("--from-literal=accessKeyID={reader}"),
    ]);
    let expected = expected.json()["data"]["accessKeyID"].clone();
    await_shown(&namespace, "secret", "accessKeyID", &expected);
}

#[test]
fn a_later_size_is_pending_until_the_claim_is_made_anew() {
    let (namespace, bucket) = (Namespace::new("size"), Bucket::new("size"));
    let sized = |size: &str| {
        let manifest = dataset("books", &bucket.name, "");
        format!("{manifest}  mount: {{size: {size}}}\n")
    };
    let size = |claim: &Value| claim["spec"]["resources"]["requests"]["storage"].clone();
    let requested = || size(&namespace.get("pvc", "books"));
    let _ = namespace.apply(&sized("5Gi")).expect_ok();
    namespace.wait_dataset("books");
    assert_eq!(requested(), "5Gi");
    let _ = namespace.apply(&sized("7Gi")).expect_ok();
    let kind = format!("{DATASETS}/books");
    let (_, message) = namespace.wait_condition(&kind, "SizePending", "True", NAMED_WITHIN);
    contains(&message, "delete the claim").unwrap();
    namespace.wait_dataset("books");
    assert_eq!(requested(), "5Gi");
    let _ = namespace
        .kubectl(&["delete", "pvc", "books", "--wait=false"])
        .expect_ok();
    let what = "a claim of the new size";
    namespace.await_object(what, NAMED_WITHIN, "pvc", "books", |claim| {
        let claim = claim.ok_or("there is none")?;
        contains(&size(claim).to_string(), "7Gi")
    });
    let what = "SizePending to go";
    namespace.await_object(what, NAMED_WITHIN, DATASETS, "books", |dataset| {
        let status = dataset.ok_or("there is none")?["status"]["conditions"].to_string();
        if status.contains("SizePending") {
            Err(status)
        } else {
            Ok(())
        }
    });
}
