//! The API server away.

use dlf_tests::{
    Bucket, POD_WITHIN, Reader, cluster_script, dataset, eventually, on_our_own_cluster,
};

use crate::requests::raw;

#[test]
fn a_restarted_api_server_gives_a_reading_pod_no_error_and_new_datasets_are_made_after_it() {
    if !on_our_own_cluster("it kills the API server") {
        return;
    }
    let reader = Reader::start("api-server");
    let (namespace, device, before) = (&reader.namespace, reader.device(), reader.rounds());
    let _ = cluster_script("part.sh", &["apiserver", "restart"]).expect_ok();
    eventually("the API server to answer", POD_WITHIN, || {
        raw("/readyz").map(|_| ())
    });
    let since = reader.rounds();
    assert!(since > before, "{since} rounds, {before} before");
    let after = Bucket::new("after");
    let _ = namespace
        .apply(&dataset("after", &after.name, ""))
        .expect_ok();
    namespace.wait_dataset("after");
    after.put("hello.txt", b"after\n");
    let script = "cat /mnt/datasets/after/hello.txt /mnt/datasets/books/hello.txt";
    let labels = "dataset.0.id: books, dataset.1.id: after";
    assert_eq!(
        namespace.run_pod("both", labels, script, ""),
        "after\nhello\n"
    );
    assert_eq!(reader.errors(), "");
    assert_eq!(reader.device(), device, "the mount is the one it was");
}
