//! What `kubectl` shows a person.

use dlf_tests::{Bucket, Namespace, contains, dataset};

#[test]
fn a_dataset_is_listed_under_its_short_names_and_with_columns_for_a_person() {
    let (namespace, bucket) = (Namespace::new("columns"), Bucket::new("columns"));
    let _ = namespace
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    namespace.wait_dataset("books");
    for name in ["dlf", "dset", "dseti", "datasets", "datasetsinternal"] {
        let listed = namespace.kubectl(&["get", name]).expect_ok();
        let (head, row) = listed.split_once('\n').unwrap();
        let columns: Vec<&str> = head
            .split("  ")
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        assert_eq!(
            columns,
            [
                "NAME", "TYPE", "SOURCE", "STATUS", "CACHE", "USED BY", "AGE"
            ],
            "{name}"
        );
        for word in ["books", "COS", &bucket.name, "OK", "Disabled"] {
            contains(row, word).unwrap();
        }
    }
    let all = namespace.kubectl(&["get", "dlf", "-o", "name"]).expect_ok();
    for kind in [
        "dataset.com.ie.ibm.hpsys/books",
        "datasetinternal.com.ie.ibm.hpsys/books",
    ] {
        contains(&all, kind).unwrap();
    }
}
