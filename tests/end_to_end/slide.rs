//! The pod of the slide and its variations.

use std::fmt::Write;

use dlf_tests::{
    Bucket, Namespace, POD_WITHIN, SLEEP, dataset, is_given, pod, s3, settings, source,
};

#[test]
fn the_slides_pod_reads_and_writes_the_bucket_in_both_groups() {
    let script = "cat /mnt/datasets/test/in/hello.txt; mkdir /mnt/datasets/test/out; \
                  echo from the pod > /mnt/datasets/test/out/result.txt; cat /mnt/datasets/test/out/result.txt";
    let labels = "dataset.0.id: test, dataset.0.useas: mount";
    let started = ["com.ie.ibm.hpsys", "datashim.io"].map(|group| {
        let (namespace, bucket) = (Namespace::new("slide"), Bucket::new("slide"));
        bucket.put("in/hello.txt", b"hello from the bucket\n");
        let manifest = dataset("test", &bucket.name, "").replace("com.ie.ibm.hpsys", group);
        let both = format!("{manifest}---\n{}", pod("reader", labels, script, ""));
        let _ = namespace.apply(&both).expect_ok();
        (namespace, bucket)
    });
    for (namespace, bucket) in &started {
        namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
        let log = namespace.kubectl(&["logs", "reader"]).expect_ok();
        assert_eq!(log, "hello from the bucket\nfrom the pod\n");
        let written = bucket.get("out/result.txt");
        assert_eq!(written.as_deref(), Ok(&b"from the pod\n"[..]));
    }
}

#[test]
fn configmap_gives_the_environment_and_both_give_both() {
    let (namespace, bucket) = (Namespace::new("env"), Bucket::new("env"));
    bucket.put("a/hello.txt", b"hello\n");
    let manifest = dataset("books", &format!("{}/a", bucket.name), "");
    let _ = namespace.apply(&manifest).expect_ok();
    let script = "echo $books_bucket $books_folder $DATASET_3_BUCKET; test -n \"$DATASET_3_SECRET_ACCESS_KEY\"; \
                  test \"$DATASET_3_ENDPOINT\" = \"$books_endpoint\"; cat /mnt/datasets/books/hello.txt";
    let labels = "dataset.3.id: books, dataset.3.useas: mount.configmap";
    let log = namespace.run_pod("reader", labels, script, "");
    assert_eq!(log, format!("{0} a {0}\nhello\n", bucket.name));
}

#[test]
fn twenty_datasets_in_one_pod_with_init_and_sidecar_containers() {
    let (namespace, bucket) = (Namespace::new("twenty"), Bucket::new("twenty"));
    let (mut manifests, mut labels) = (String::new(), Vec::new());
    for number in 0..20 {
        let (name, prefix) = (format!("d{number}"), format!("p{number}"));
        bucket.put(&format!("{prefix}/n.txt"), format!("{number}\n").as_bytes());
        let place = format!("{}/{prefix}", bucket.name);
        let _ = writeln!(manifests, "{}---", dataset(&name, &place, ""));
        labels.push(format!("dataset.{number}.id: {name}"));
    }
    let _ = namespace.apply(&manifests).expect_ok();
    let image = settings().get("TEST_IMAGE");
    let more = format!(
        "  automountServiceAccountToken: false\n  initContainers:\n  - name: first\n    image: {image}\n    command: [sh, -euc, 'cat \
         /mnt/datasets/d7/n.txt']\n  - name: sidecar\n    image: {image}\n    restartPolicy: Always\n    command: [sh, -euc, \
         'cat /mnt/datasets/d8/n.txt; {}']\n",
        SLEEP.replace('\'', "''")
    );
    let script = "cat /mnt/datasets/d*/n.txt | sort -n | tr \"\\n\" \" \"; echo 9 > /mnt/datasets/d9/made.txt";
    let log = namespace.run_pod("reader", &labels.join(", "), script, &more);
    assert_eq!(log, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 ");
    for (container, said) in [("first", "7\n"), ("sidecar", "8\n")] {
        let log = namespace.kubectl(&["logs", "reader", "-c", container]);
        assert_eq!(log.expect_ok(), said);
    }
    assert_eq!(bucket.get("p9/made.txt").as_deref(), Ok(&b"9\n"[..]));
}

#[test]
fn read_only_is_really_read_only() {
    let (namespace, bucket) = (Namespace::new("readonly"), Bucket::new("readonly"));
    bucket.put("hello.txt", b"hello\n");
    let manifest = dataset("books", &bucket.name, ", readonly: \"true\"");
    let _ = namespace.apply(&manifest).expect_ok();
    let script =
        "cd /mnt/datasets/books; cat hello.txt; ! rm hello.txt; ! touch new.txt; ! mkdir new; ls";
    let _ = namespace.run_pod("reader", "dataset.0.id: books", script, "");
    assert_eq!(bucket.keys(), ["hello.txt"]);
}

#[test]
fn an_anonymous_bucket_is_read_without_keys() {
    if !is_given(&["S3_PUBLIC_BUCKET"]) {
        return;
    }
    let namespace = Namespace::new("anonymous");
    let (endpoint, public) = (
        settings().get("S3_ENDPOINT"),
        settings().get("S3_PUBLIC_BUCKET"),
    );
    // It exists when another run has made it.
    let _ = s3("PUT", &public, b"");
    s3("PUT", &format!("{public}/hello.txt"), b"hello\n").unwrap();
    let local = format!(
        "type: COS, endpoint: \"{endpoint}\", bucket: {public}, accessKeyID: \"\", secretAccessKey: \"\""
    );
    let _ = namespace.apply(&source("books", &local)).expect_ok();
    let script = "cat /mnt/datasets/books/hello.txt";
    let log = namespace.run_pod("reader", "dataset.0.id: books", script, "");
    assert_eq!(log, "hello\n");
}
