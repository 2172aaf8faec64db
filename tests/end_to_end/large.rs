//! Large files.

use dlf_tests::{Bucket, Namespace, Node, POD_WITHIN, SLEEP, dataset, pod, settings};

const GIBIBYTE: u64 = 1 << 30;

#[test]
fn a_gibibyte_is_written_and_read_and_renaming_it_moves_no_data_through_the_node() {
    let (namespace, bucket) = (Namespace::new("large"), Bucket::new("large"));
    let both = format!(
        "{}---\n{}",
        dataset("books", &bucket.name, ""),
        pod("user", "dataset.0.id: books", SLEEP, "")
    );
    let _ = namespace.apply(&both).expect_ok();
    namespace.wait_ready("user", POD_WITHIN);
    // Its limit is that of every command: enough for a gibibyte through the mount, each way, on two cores
    // that other tests use too.
    let sh = |script: &str| {
        let script = format!("set -eu; cd /mnt/datasets/books; {script}");
        namespace.exec("user", &script).expect_ok()
    };
    let source = format!("head -c {GIBIBYTE} /dev/zero | tr \"\\0\" a");
    let expected = sh(&format!("{source} | tee big | sha256sum; mkdir d"));
    if settings().is_our_own() {
        let node = Node::of(&namespace, "user");
        let before = node.traffic();
        let _ = sh("mv big d/bigger");
        let moved = node.traffic() - before;
        // Other tests use the node meanwhile. The data itself would pass it twice.
        assert!(moved < GIBIBYTE, "{moved} bytes passed the node's network");
    } else {
        println!(
            "SKIPPED renaming_moves_no_data_through_the_node: it reads the counters of a node's network \
             interface, and this is not our own cluster"
        );
        let _ = sh("mv big d/bigger");
    }
    assert_eq!(bucket.keys(), ["d/", "d/bigger"]);
    assert_eq!(
        sh("test ! -e big; sha256sum < d/bigger; stat -c %s d/bigger"),
        format!("{expected}{GIBIBYTE}\n")
    );
    let _ = sh("rm d/bigger; rmdir d");
    assert!(bucket.keys().is_empty(), "{:?}", bucket.keys());
}
