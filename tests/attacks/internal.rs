//! A DatasetInternal says what pods really use: writing one would be a way around every check of
//! the Dataset.

use dlf_tests::{Bucket, Output, POD_WITHIN, SLEEP, contains, dataset, pod};

use crate::tenant::{Neighbour, Tenant};

const INTERNAL: &str = "datasetsinternal.com.ie.ibm.hpsys";

/// Every way to write one: of a name without Dataset, in both groups, and the one of Dataset `books`.
fn attempts(tenant: &Tenant, bucket: &str) -> Vec<(&'static str, Output)> {
    let made = |group: &str| {
        dataset("stranger", bucket, "")
            .replace("kind: Dataset", "kind: DatasetInternal")
            .replace("com.ie.ibm.hpsys", group)
    };
    let create = |group: &str| tenant.run(&["create", "-f", "-"], &made(group));
    let patch = |patch: &str, more: &[&str]| {
        let patch = ["patch", INTERNAL, "books", "--type=merge", "-p", patch];
        tenant.kubectl(&[&patch, more].concat())
    };
    let elsewhere = r#"{"spec":{"local":{"endpoint":"http://127.0.0.1:1"}}}"#;
    let disowned = r#"{"metadata":{"labels":{"dlf.dev/dataset-uid":null}}}"#;
    let placed = r#"{"status":{"provision":{"status":"OK","info":"forged"}}}"#;
    vec![
        ("make", create("com.ie.ibm.hpsys")),
        ("make in the other group", create("datashim.io")),
        ("edit the source", patch(elsewhere, &[])),
        ("take the owner off", patch(disowned, &[])),
        ("forge the status", patch(placed, &["--subresource=status"])),
    ]
}

#[test]
fn a_tenant_writes_no_dataset_internal_even_with_the_right_to() {
    let bucket = Bucket::new("internal");
    let tenant = Tenant::new("internal");
    let books = dataset("books", &bucket.name, "");
    let _ = tenant.apply(&books).expect_ok();
    tenant.namespace.wait_dataset("books");
    for (what, attempt) in attempts(&tenant, &bucket.name) {
        let refused = attempt.expect_refused();
        contains(&refused, "forbidden").unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    // The role says nothing of a Dataset's status either.
    let forged = r#"{"status":{"provision":{"status":"OK"}}}"#;
    let patch = ["--subresource=status", "--type=merge", "-p", forged];
    let dataset = "datasets.com.ie.ibm.hpsys";
    let refused = tenant
        .kubectl(&[&["patch", dataset, "books"], &patch[..]].concat())
        .expect_refused();
    contains(&refused, "forbidden").unwrap();
    tenant.give("datasetsinternal, datasetsinternal/status");
    for (what, attempt) in attempts(&tenant, &bucket.name) {
        let refused = attempt.expect_refused();
        contains(&refused, "a DatasetInternal is written by the operator")
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[test]
fn a_deleted_dataset_internal_heals_beneath_a_running_pod() {
    let neighbour = Neighbour::new("heals");
    let (tenant, namespace) = (&neighbour.tenant, &neighbour.tenant.namespace);
    tenant.give("datasetsinternal, datasetsinternal/status");
    let user = pod("user", "dataset.0.id: books", SLEEP, "");
    let _ = tenant.apply(&user).expect_ok();
    namespace.wait_ready("user", POD_WITHIN);
    let before = namespace.get(INTERNAL, "books");
    let delete = ["delete", INTERNAL, "books", "--wait=false"];
    let _ = tenant.kubectl(&delete).expect_ok();
    let now = namespace.wait_made_again(INTERNAL, "books", &before["metadata"]["uid"]);
    assert_eq!(now["spec"], before["spec"]);
    // Beyond what the node holds of it: a file that nobody has asked for yet.
    neighbour.bucket.put("later.txt", b"later\n");
    let read = namespace.exec("user", "cat /mnt/datasets/books/later.txt");
    assert_eq!(read.expect_ok(), "later\n");
}
