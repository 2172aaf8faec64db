//! How a Dataset goes, and what goes with it.

use std::time::Duration;

use dlf_tests::{Bucket, DATASETS, Namespace, contains, dataset, s3, timeout};

const GONE_WITHIN: Duration = Duration::from_mins(1);

fn delete(namespace: &Namespace, name: &str) {
    let _ = namespace
        .kubectl(&["delete", DATASETS, name, &timeout(GONE_WITHIN)])
        .expect_ok();
}

#[test]
fn a_deleted_dataset_leaves_nothing_and_can_be_made_again() {
    let bucket = Bucket::new("again");
    let namespace = Namespace::new("again");
    for _ in 0..2 {
        let _ = namespace
            .apply(&dataset("books", &bucket.name, ""))
            .expect_ok();
        namespace.wait_dataset("books");
        assert!(!namespace.traces().is_empty());
        delete(&namespace, "books");
        assert_eq!(namespace.traces(), "");
    }
    bucket.put("still", b"there");
}

#[test]
fn a_bucket_that_provision_made_goes_with_its_dataset_and_another_does_not() {
    let namespace = Namespace::new("provision");
    let both = ", provision: \"true\", removeOnDelete: \"true\"";
    let name = format!("made-{}", namespace.name);
    let bucket = Bucket::new("kept");
    bucket.put("precious", b"text");
    let manifests = format!(
        "{}---\n{}",
        dataset("made", &name, both),
        dataset("kept", &bucket.name, both)
    );
    let _ = namespace.apply(&manifests).expect_ok();
    namespace.wait_dataset("made");
    s3("PUT", &format!("{name}/some/object"), b"text").unwrap();
    delete(&namespace, "made");
    let gone = s3("GET", &format!("{name}?list-type=2"), b"").unwrap_err();
    contains(&gone, "NoSuchBucket").unwrap();

    namespace.wait_dataset("kept");
    delete(&namespace, "kept");
    assert_eq!(bucket.get("precious").as_deref(), Ok(&b"text"[..]));
    contains(&namespace.events("kept"), "BucketKept").unwrap();
}
