//! What a source does not take from pods is told to who owns the files: a shell's `>` is not.

use std::time::Duration;

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, POD_WITHIN, SLEEP, contains, dataset_with_secret,
    eventually, is_given, keys, pod, settings,
};

/// A refusal that is over stays for a minute; before and after that keys and news of them travel.
const OVER_WITHIN: Duration = Duration::from_secs(150);

const BOOKS: &str = "datasets.com.ie.ibm.hpsys/books";

/// Keys that may read and list, in a Secret.
fn readers_keys() -> String {
    let (key, secret) = ("S3_READER_KEY", "S3_READER_SECRET");
    keys("my-keys", &settings().get(key), &settings().get(secret))
}

/// Keys that may do everything, in the same Secret.
fn writers_keys() -> String {
    let (key, secret) = ("S3_KEY", "S3_SECRET");
    keys("my-keys", &settings().get(key), &settings().get(secret))
}

/// Waits for the condition to go.
fn await_no_refusal(namespace: &Namespace) {
    namespace.await_object(
        "the refusal to go",
        OVER_WITHIN,
        DATASETS,
        "books",
        |object| {
            let object = object.ok_or_else(|| "there is none".to_owned())?;
            let conditions = object["status"]["conditions"].to_string();
            if conditions.contains("WritesRefused") {
                Err(conditions)
            } else {
                Ok(())
            }
        },
    );
}

#[test]
fn keys_that_may_not_write_are_named_before_anybody_writes_and_readers_go_on() {
    if !is_given(&["S3_READER_KEY", "S3_READER_SECRET"]) {
        return;
    }
    let (namespace, bucket) = (Namespace::new("unwritable"), Bucket::new("unwritable"));
    bucket.put("it.txt", b"hello\n");
    let books = dataset_with_secret("books", &bucket.name, "my-keys");
    let _ = namespace
        .apply(&format!("{}---\n{books}", readers_keys()))
        .expect_ok();
    namespace.wait_dataset("books");
    let look = |reason: &str, message: &str| {
        contains(reason, "AccessDenied")?;
        contains(message, "s3:PutObject")?;
        contains(message, "readonly")
    };
    namespace.await_condition(BOOKS, "WritesRefused", "True", NAMED_WITHIN, look);
    let events = namespace.events("books");
    assert!(events.contains("WritesRefused: "), "{events}");
    let read = "cat /mnt/datasets/books/it.txt";
    assert_eq!(
        namespace.run_pod("reader", "dataset.0.id: books", read, ""),
        "hello\n"
    );
    assert_eq!(bucket.keys(), ["it.txt"], "asking writes nothing");
    // Who only reads is asked for no more.
    let readonly = books.replace("secret-name", "readonly: \"true\", secret-name");
    let _ = namespace.apply(&readonly).expect_ok();
    await_no_refusal(&namespace);
}

#[test]
fn a_write_that_the_source_refuses_is_told_on_pod_and_dataset_until_the_keys_may_write() {
    if !is_given(&["S3_READER_KEY", "S3_READER_SECRET"]) {
        return;
    }
    let (namespace, bucket) = (Namespace::new("refused"), Bucket::new("refused"));
    let books = dataset_with_secret("books", &bucket.name, "my-keys");
    let writer = pod("writer", "dataset.0.id: books", SLEEP, "");
    let _ = namespace
        .apply(&format!("{}---\n{books}---\n{writer}", readers_keys()))
        .expect_ok();
    namespace.wait_ready("writer", POD_WITHIN);
    // A shell ignores what close(2) says: it ends well.
    let write = "cd /mnt/datasets/books; echo x > result.txt";
    let _ = namespace.exec("writer", write).expect_ok();
    let look = |reason: &str, message: &str| {
        contains(reason, "AccessDenied")?;
        contains(message, "1 file that pods wrote since ")?;
        contains(message, "\"result.txt\"")
    };
    namespace.await_condition(BOOKS, "WritesRefused", "True", NAMED_WITHIN, look);
    for object in ["writer", "books"] {
        eventually("the event", NAMED_WITHIN, || {
            let events = namespace.events(object);
            contains(&events, "WritesRefused: 1 file")?;
            contains(&events, "\"result.txt\"")
        });
    }
    let ready = namespace.wait_condition(BOOKS, "Ready", "True", NAMED_WITHIN);
    assert_eq!(ready.0, "Ready", "reads go on");
    let look = "cd /mnt/datasets/books; ls; cat result.txt 2>&1 | grep -o 'No such file'";
    assert_eq!(namespace.exec("writer", look).expect_ok(), "No such file\n");
    let _ = namespace.apply(&writers_keys()).expect_ok();
    await_no_refusal(&namespace);
    let write = "cd /mnt/datasets/books; echo y > result.txt; cat result.txt";
    assert_eq!(namespace.exec("writer", write).expect_ok(), "y\n");
    assert_eq!(bucket.get("result.txt").unwrap(), b"y\n");
}

#[test]
fn a_killed_writer_is_named_with_its_signal_and_where_its_file_is_kept() {
    let (namespace, bucket) = (Namespace::new("killed"), Bucket::new("killed"));
    bucket.put("ckpt", b"whole\n");
    let books = dlf_tests::dataset("books", &bucket.name, "");
    let writer = pod("writer", "dataset.0.id: books", SLEEP, "");
    let _ = namespace
        .apply(&format!("{books}---\n{writer}"))
        .expect_ok();
    namespace.wait_ready("writer", POD_WITHIN);
    let killed = "cd /mnt/datasets/books; sh -c 'exec > ckpt; echo half; kill -9 $$' || cat ckpt";
    assert_eq!(namespace.exec("writer", killed).expect_ok(), "whole\n");
    for object in ["writer", "books"] {
        eventually("the event", NAMED_WITHIN, || {
            let events = namespace.events(object);
            contains(&events, "WriterKilled: a program was ended by SIGKILL (9)")?;
            contains(&events, "\"ckpt\"")?;
            contains(&events, "kept for an hour on node")
        });
    }
}
