//! Edits of a Dataset take effect for the next pod, and nothing is deleted for them.

use dlf_tests::{
    Bucket, Namespace, Node, POD_WITHIN, SLEEP, dataset, dataset_with_secret, keys,
    on_our_own_cluster, pod, settings, source,
};

#[test]
fn every_edit_is_what_the_next_pod_sees_while_an_older_one_keeps_its_mount() {
    if !on_our_own_cluster("it needs a host path that the configuration allows") {
        return;
    }
    let (one, other) = (Bucket::new("one"), Bucket::new("other"));
    one.put("it.txt", b"one\n");
    one.put("a/it.txt", b"folder\n");
    other.put("it.txt", b"other\n");
    let namespace = Namespace::new("host-path-edits");
    let host = format!("/var/tmp/dlf-scratch/{}", namespace.name);
    for node in Node::all() {
        let _ = node
            .sh(&format!("mkdir -p {host} && echo host > {host}/it.txt"))
            .expect_ok();
    }
    let plain = dataset("books", &one.name, "");
    let both = format!(
        "{plain}---\n{}",
        pod("older", "dataset.0.id: books", SLEEP, "")
    );
    let _ = namespace.apply(&both).expect_ok();
    namespace.wait_ready("older", POD_WITHIN);

    let (key, secret) = (settings().get("S3_KEY"), settings().get("S3_SECRET"));
    let _ = namespace.apply(&keys("my-keys", &key, &secret)).expect_ok();
    let read = "cat /mnt/datasets/books/it.txt";
    let mounted = |block: &str| format!("{plain}  mount: {{{block}}}\n");
    let edits = [
        (dataset("books", &one.name, ", folder: a"), read, "folder\n"),
        (dataset("books", &other.name, ""), read, "other\n"),
        (
            dataset("books", &one.name, ", readonly: \"true\""),
            "cat /mnt/datasets/books/it.txt; touch /mnt/datasets/books/x 2>&1 | grep -o Read-only",
            "one\nRead-only\n",
        ),
        (
            plain.replace("region: \"\"", "region: us-east-1"),
            "cat /mnt/datasets/books/it.txt; echo $books_region",
            "one\nus-east-1\n",
        ),
        (
            mounted("path: /data, uid: 1001, gid: 1002, umask: \"0027\""),
            "cat /data/it.txt; stat -c \"%u %g %a\" /data/it.txt /data",
            "one\n1001 1002 750\n1001 1002 750\n",
        ),
        (mounted("program: s3fs"), read, "one\n"),
        (
            source("books", &format!("type: HOST, path: {host}")),
            read,
            "host\n",
        ),
        (
            dataset_with_secret("books", &one.name, "my-keys"),
            read,
            "one\n",
        ),
    ];
    for (number, (manifest, script, said)) in edits.iter().enumerate() {
        let _ = namespace.apply(manifest).expect_ok();
        let labels = "dataset.0.id: books, dataset.0.useas: mount.configmap";
        let log = namespace.run_pod(&format!("edit-{number}"), labels, script, "");
        assert_eq!(log, *said, "{manifest}");
        let older = namespace.exec("older", "cat /mnt/datasets/books/it.txt");
        assert_eq!(older.expect_ok(), "one\n", "{manifest}");
    }
    for node in Node::all() {
        let _ = node.sh(&format!("rm -r {host}"));
    }
}
