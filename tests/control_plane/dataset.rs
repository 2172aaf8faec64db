//! What a Dataset makes, how it says what is wrong, and how it goes.

use std::time::Duration;

use dlf_tests::{Bucket, Namespace, contains, dataset, eventually, settings};
use serde_json::json;

/// Even a black hole is named within this.
const NAMED_WITHIN: Duration = Duration::from_secs(30);

fn bucket_of(group: &str, name: &str, bucket: &str, more: &str) -> String {
    dataset(name, bucket, more).replace("com.ie.ibm.hpsys", group)
}

#[test]
fn a_dataset_of_either_group_makes_its_parts() {
    let bucket = Bucket::new("parts");
    for group in ["com.ie.ibm.hpsys", "datashim.io"] {
        let namespace = Namespace::new("parts");
        let _ = namespace
            .apply(&bucket_of(
                group,
                "books",
                &format!("{}/train", bucket.name),
                "",
            ))
            .expect_ok();
        let kind = format!("datasets.{group}/books");
        let _ = namespace.wait_condition(&kind, "Ready", "True", NAMED_WITHIN);
        let claim = namespace.get("pvc", "books");
        assert_eq!(claim["metadata"]["labels"]["dataset"], "books");
        assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteMany"]));
        eventually("the claim to be bound", NAMED_WITHIN, || {
            let phase = namespace.get("pvc", "books")["status"]["phase"].clone();
            if phase == "Bound" {
                Ok(())
            } else {
                Err(phase.to_string())
            }
        });
        let map = namespace.get("configmap", "books");
        assert_eq!(map["data"]["bucket"], bucket.name.as_str());
        assert_eq!(map["data"]["folder"], "train");
        let secret = namespace.get("secret", "books");
        assert!(secret["data"]["secretAccessKey"].is_string());
        let dataset = namespace.get(&format!("datasets.{group}"), "books");
        assert_eq!(dataset["status"]["provision"]["status"], "OK");
        assert_eq!(dataset["status"]["caching"]["status"], "Disabled");
    }
}

#[test]
fn what_is_wrong_with_a_source_is_named() {
    let bucket = Bucket::new("wrong");
    let namespace = Namespace::new("wrong");
    let endpoint = settings().get("S3_ENDPOINT");
    let with = |from: &str, to: &str| {
        bucket_of("com.ie.ibm.hpsys", "NAME", &bucket.name, "").replace(from, to)
    };
    let cases = [
        (
            "no-bucket",
            with(&format!("\"{}\"", bucket.name), "\"no-such-bucket\""),
            "NoSuchBucket",
        ),
        (
            "wrong-keys",
            with(&settings().get("S3_SECRET"), "wrong"),
            "KeysRejected",
        ),
        (
            "nobody",
            with(&endpoint, "http://10.85.255.2:9"),
            "Unreachable",
        ),
        (
            "loopback",
            with(&endpoint, "http://127.0.0.1:8333"),
            "AddressNotAllowed",
        ),
        (
            "api-server",
            with(&endpoint, "https://10.96.0.1:443"),
            "AddressNotAllowed",
        ),
        (
            "kubelet",
            with(&endpoint, "https://10.85.255.11:10250"),
            "AddressNotAllowed",
        ),
        (
            "black-hole",
            with(&endpoint, "http://10.85.255.99:80"),
            "Unreachable",
        ),
    ];
    for (name, manifest, _) in &cases {
        let _ = namespace.apply(&manifest.replace("NAME", name)).expect_ok();
    }
    for (name, _, reason) in &cases {
        let found = namespace.wait_condition(
            &format!("datasets.com.ie.ibm.hpsys/{name}"),
            "SourceReachable",
            "False",
            NAMED_WITHIN,
        );
        assert_eq!(&found.0, reason, "{name}: {}", found.1);
        let events = namespace.events(name);
        contains(&events, reason).unwrap();
    }
}

#[test]
fn a_late_secret_heals_by_itself() {
    let bucket = Bucket::new("late");
    let namespace = Namespace::new("late");
    let settings = settings();
    let manifest = format!(
        "apiVersion: com.ie.ibm.hpsys/v1alpha1\nkind: Dataset\nmetadata:\n  name: books\nspec:\n  local: {{type: COS, \
         endpoint: \"{}\", bucket: {}, secret-name: my-keys}}\n",
        settings.get("S3_ENDPOINT"),
        bucket.name
    );
    let _ = namespace.apply(&manifest).expect_ok();
    let dataset = "datasets.com.ie.ibm.hpsys/books";
    eventually("SecretMissing", NAMED_WITHIN, || {
        let (reason, message) = namespace.wait_condition(dataset, "Ready", "False", NAMED_WITHIN);
        contains(&message, "my-keys")?;
        if reason == "SecretMissing" {
            Ok(())
        } else {
            Err(reason)
        }
    });
    let claim = namespace.kubectl(&["get", "pvc", "books"]);
    assert!(
        claim.ok,
        "the claim is made whatever the Secret: {}",
        claim.error
    );
    let _ = namespace
        .kubectl(&[
            "create",
            "secret",
            "generic",
            "my-keys",
            &format!("--from-literal=accessKeyID={}", settings.get("S3_KEY")),
            &format!(
                "--from-literal=secretAccessKey={}",
                settings.get("S3_SECRET")
            ),
        ])
        .expect_ok();
    let _ = namespace.wait_condition(dataset, "Ready", "True", NAMED_WITHIN);
}

#[test]
fn what_is_deleted_or_spoilt_by_hand_is_made_again() {
    let bucket = Bucket::new("byhand");
    let namespace = Namespace::new("byhand");
    let _ = namespace
        .apply(&bucket_of("com.ie.ibm.hpsys", "books", &bucket.name, ""))
        .expect_ok();
    let _ = namespace.wait_condition(
        "datasets.com.ie.ibm.hpsys/books",
        "Ready",
        "True",
        NAMED_WITHIN,
    );
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
        eventually(
            &format!("{kind} {name} to be made again"),
            NAMED_WITHIN,
            || {
                let found =
                    namespace.kubectl(&["get", kind, name, "-o", "jsonpath={.metadata.uid}"]);
                if found.ok && before != found.text.as_str() {
                    Ok(())
                } else {
                    Err(format!("{found:?}"))
                }
            },
        );
    }
    eventually("the new claim to be bound", NAMED_WITHIN, || {
        let phase = namespace.get("pvc", "books")["status"]["phase"].clone();
        if phase == "Bound" {
            Ok(())
        } else {
            Err(phase.to_string())
        }
    });
    let _ = namespace
        .kubectl(&[
            "patch",
            "configmap",
            "books",
            "-p",
            r#"{"data":{"bucket":"spoilt"}}"#,
        ])
        .expect_ok();
    eventually("the ConfigMap to be put right", NAMED_WITHIN, || {
        let map = namespace.get("configmap", "books");
        if map["data"]["bucket"] == bucket.name.as_str() {
            Ok(())
        } else {
            Err(map["data"].to_string())
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
        .apply(&bucket_of("com.ie.ibm.hpsys", "books", &bucket.name, ""))
        .expect_ok();
    let dataset = "datasets.com.ie.ibm.hpsys/books";
    let (reason, message) = eventually("the clash to be reported", NAMED_WITHIN, || {
        let found = namespace.wait_condition(dataset, "Ready", "False", NAMED_WITHIN);
        if found.0 == "NameTaken" {
            Ok(found)
        } else {
            Err(format!("{found:?}"))
        }
    });
    assert_eq!(reason, "NameTaken");
    contains(&message, "ConfigMap books").unwrap();
    assert_eq!(namespace.get("configmap", "books")["data"]["mine"], "yes");
    let _ = namespace
        .kubectl(&["delete", "configmap", "books"])
        .expect_ok();
    eventually("the dataset to be ready", Duration::from_mins(1), || {
        let found =
            namespace.kubectl(&["get", dataset, "-o", "jsonpath={.status.provision.status}"]);
        if found.text == "OK" {
            Ok(())
        } else {
            Err(found.text)
        }
    });
}

#[test]
fn a_deleted_dataset_leaves_nothing_and_can_be_made_again() {
    let bucket = Bucket::new("again");
    let namespace = Namespace::new("again");
    for _ in 0..2 {
        let _ = namespace
            .apply(&bucket_of("com.ie.ibm.hpsys", "books", &bucket.name, ""))
            .expect_ok();
        let _ = namespace.wait_condition(
            "datasets.com.ie.ibm.hpsys/books",
            "Ready",
            "True",
            NAMED_WITHIN,
        );
        assert!(!namespace.traces().is_empty());
        let _ = namespace
            .kubectl(&[
                "delete",
                "datasets.com.ie.ibm.hpsys",
                "books",
                "--timeout=60s",
            ])
            .expect_ok();
        assert_eq!(namespace.traces(), "");
    }
    assert!(
        bucket.get("nothing").is_err(),
        "the bucket answers, and it is still there"
    );
    bucket.put("still", b"there");
}

#[test]
fn two_namespaces_hold_datasets_of_one_name() {
    let bucket = Bucket::new("twins");
    let namespaces = [Namespace::new("twin"), Namespace::new("twin")];
    for namespace in &namespaces {
        let _ = namespace
            .apply(&bucket_of("com.ie.ibm.hpsys", "books", &bucket.name, ""))
            .expect_ok();
    }
    for namespace in &namespaces {
        let _ = namespace.wait_condition(
            "datasets.com.ie.ibm.hpsys/books",
            "Ready",
            "True",
            NAMED_WITHIN,
        );
    }
    let volumes: Vec<_> = namespaces
        .iter()
        .map(|namespace| namespace.get("pvc", "books")["spec"]["volumeName"].clone())
        .collect();
    assert_ne!(volumes[0], volumes[1]);
}

#[test]
fn a_bucket_that_provision_made_goes_with_its_dataset_and_another_does_not() {
    let namespace = Namespace::new("provision");
    let name = format!("made-{}", namespace.name);
    let manifest = bucket_of(
        "com.ie.ibm.hpsys",
        "books",
        &name,
        ", provision: \"true\", removeOnDelete: \"true\"",
    );
    let _ = namespace.apply(&manifest).expect_ok();
    let _ = namespace.wait_condition(
        "datasets.com.ie.ibm.hpsys/books",
        "Ready",
        "True",
        NAMED_WITHIN,
    );
    dlf_tests::s3("PUT", &format!("{name}/some/object"), b"text").unwrap();
    let _ = namespace
        .kubectl(&[
            "delete",
            "datasets.com.ie.ibm.hpsys",
            "books",
            "--timeout=60s",
        ])
        .expect_ok();
    assert!(
        dlf_tests::s3("GET", &format!("{name}?list-type=2"), b"").is_err(),
        "the bucket is gone"
    );

    let bucket = Bucket::new("kept");
    bucket.put("precious", b"text");
    let manifest = bucket_of(
        "com.ie.ibm.hpsys",
        "books",
        &bucket.name,
        ", provision: \"true\", removeOnDelete: \"true\"",
    );
    let _ = namespace.apply(&manifest).expect_ok();
    let _ = namespace.wait_condition(
        "datasets.com.ie.ibm.hpsys/books",
        "Ready",
        "True",
        NAMED_WITHIN,
    );
    let _ = namespace
        .kubectl(&[
            "delete",
            "datasets.com.ie.ibm.hpsys",
            "books",
            "--timeout=60s",
        ])
        .expect_ok();
    assert_eq!(bucket.get("precious").as_deref(), Ok(&b"text"[..]));
    contains(&namespace.events("books"), "BucketKept").unwrap();
}
