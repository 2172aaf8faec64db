//! The pod of the slide and its variations.

use std::{fmt::Write, time::Duration};

use dlf_tests::{
    Bucket, Namespace, POD_WITHIN, SLEEP, contains, dataset, eventually, pod, settings,
};

#[test]
fn the_slides_pod_reads_and_writes_the_bucket_in_both_groups() {
    for group in ["com.ie.ibm.hpsys", "datashim.io"] {
        let (namespace, bucket) = (Namespace::new("slide"), Bucket::new("slide"));
        bucket.put("in/hello.txt", b"hello from the bucket\n");
        let manifest = dataset("test", &bucket.name, "").replace("com.ie.ibm.hpsys", group);
        let script = "cat /mnt/datasets/test/in/hello.txt; mkdir /mnt/datasets/test/out; \
                      echo from the pod > /mnt/datasets/test/out/result.txt; cat /mnt/datasets/test/out/result.txt";
        let job = pod(
            "reader",
            "dataset.0.id: test, dataset.0.useas: mount",
            script,
            "",
        );
        let _ = namespace
            .apply(&format!("{manifest}---\n{job}"))
            .expect_ok();
        namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
        let log = namespace.kubectl(&["logs", "reader"]).expect_ok();
        assert_eq!(log, "hello from the bucket\nfrom the pod\n");
        assert_eq!(
            bucket.get("out/result.txt").as_deref(),
            Ok(&b"from the pod\n"[..])
        );
    }
}

#[test]
fn configmap_gives_the_environment_and_both_give_both() {
    let (namespace, bucket) = (Namespace::new("env"), Bucket::new("env"));
    bucket.put("a/hello.txt", b"hello\n");
    let script = "echo $books_bucket $books_folder $DATASET_3_BUCKET; test -n \"$DATASET_3_SECRET_ACCESS_KEY\"; \
                  test \"$DATASET_3_ENDPOINT\" = \"$books_endpoint\"; cat /mnt/datasets/books/hello.txt";
    let job = pod(
        "reader",
        "dataset.3.id: books, dataset.3.useas: mount.configmap",
        script,
        "",
    );
    let _ = namespace
        .apply(&format!(
            "{}---\n{job}",
            dataset("books", &format!("{}/a", bucket.name), "")
        ))
        .expect_ok();
    namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
    let log = namespace.kubectl(&["logs", "reader"]).expect_ok();
    assert_eq!(log, format!("{0} a {0}\nhello\n", bucket.name));
}

#[test]
fn twenty_datasets_in_one_pod_with_init_and_sidecar_containers() {
    let (namespace, bucket) = (Namespace::new("twenty"), Bucket::new("twenty"));
    let (mut manifests, mut labels) = (String::new(), Vec::new());
    for number in 0..20 {
        bucket.put(
            &format!("p{number}/n.txt"),
            format!("{number}\n").as_bytes(),
        );
        let _ = writeln!(
            manifests,
            "{}---",
            dataset(
                &format!("d{number}"),
                &format!("{}/p{number}", bucket.name),
                ""
            )
        );
        labels.push(format!("dataset.{number}.id: d{number}"));
    }
    let image = settings().get("TEST_IMAGE");
    let more = format!(
        "  automountServiceAccountToken: false\n  initContainers:\n  - name: first\n    image: {image}\n    command: [sh, -euc, 'cat \
         /mnt/datasets/d7/n.txt']\n  - name: sidecar\n    image: {image}\n    restartPolicy: Always\n    command: [sh, -euc, \
         'cat /mnt/datasets/d8/n.txt; {}']\n",
        SLEEP.replace('\'', "''")
    );
    let script = "cat /mnt/datasets/d*/n.txt | sort -n | tr \"\\n\" \" \"";
    let _ = namespace
        .apply(&format!(
            "{manifests}{}",
            pod("reader", &labels.join(", "), script, &more)
        ))
        .expect_ok();
    namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
    let log = |container: &str| {
        namespace
            .kubectl(&["logs", "reader", "-c", container])
            .expect_ok()
    };
    assert_eq!(
        log("main"),
        "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "
    );
    assert_eq!(log("first"), "7\n");
    assert_eq!(log("sidecar"), "8\n");
}

#[test]
fn read_only_is_really_read_only() {
    let (namespace, bucket) = (Namespace::new("readonly"), Bucket::new("readonly"));
    bucket.put("hello.txt", b"hello\n");
    let script =
        "cd /mnt/datasets/books; cat hello.txt; ! rm hello.txt; ! touch new.txt; ! mkdir new; ls";
    let job = pod("reader", "dataset.0.id: books", script, "");
    let _ = namespace
        .apply(&format!(
            "{}---\n{job}",
            dataset("books", &bucket.name, ", readonly: \"true\"")
        ))
        .expect_ok();
    namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
    assert_eq!(bucket.keys(), ["hello.txt"]);
}

#[test]
fn a_pod_that_is_not_root_writes_and_its_fs_group_owns_the_files() {
    let (namespace, bucket) = (Namespace::new("group"), Bucket::new("group"));
    bucket.put("hello.txt", b"hello\n");
    let more = "  securityContext: {runAsUser: 4711, runAsGroup: 4712, fsGroup: 4713}\n";
    let script = "cd /mnt/datasets/books; stat -c %g hello.txt; echo mine > mine.txt; cat mine.txt";
    let job = pod("writer", "dataset.0.id: books", script, more);
    let _ = namespace
        .apply(&format!("{}---\n{job}", dataset("books", &bucket.name, "")))
        .expect_ok();
    namespace.wait_phase("writer", "Succeeded", POD_WITHIN);
    assert_eq!(
        namespace.kubectl(&["logs", "writer"]).expect_ok(),
        "4713\nmine\n"
    );
}

#[test]
fn annotations_choose_path_containers_and_subpath() {
    let (namespace, bucket) = (Namespace::new("chosen"), Bucket::new("chosen"));
    bucket.put("deep/er/hello.txt", b"hello\n");
    let image = settings().get("TEST_IMAGE");
    let more = format!(
        "  initContainers:\n  - name: other\n    image: {image}\n    command: [sh, -euc, 'test ! -e /data']\n"
    );
    let script = "cat /data/in/hello.txt; ! touch /data/in/x";
    let job = pod("reader", "dataset.0.id: books", script, &more).replace(
        "  labels:",
        "  annotations: {dataset.0.path: /data/in, dataset.0.containers: main, dataset.0.subpath: deep/er, dataset.0.readonly: \"true\"}\n  labels:",
    );
    let _ = namespace
        .apply(&format!("{}---\n{job}", dataset("books", &bucket.name, "")))
        .expect_ok();
    namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
}

#[test]
fn an_anonymous_bucket_is_read_without_keys() {
    let namespace = Namespace::new("anonymous");
    let (endpoint, public) = (
        settings().get("S3_ENDPOINT"),
        settings().get("S3_PUBLIC_BUCKET"),
    );
    // It exists when another run has made it.
    let _ = dlf_tests::s3("PUT", &public, b"");
    dlf_tests::s3("PUT", &format!("{public}/hello.txt"), b"hello\n").unwrap();
    let manifest = format!(
        "apiVersion: com.ie.ibm.hpsys/v1alpha1\nkind: Dataset\nmetadata:\n  name: books\nspec:\n  local: {{type: COS, endpoint: \
         \"{endpoint}\", bucket: {public}, accessKeyID: \"\", secretAccessKey: \"\"}}\n"
    );
    let job = pod(
        "reader",
        "dataset.0.id: books",
        "cat /mnt/datasets/books/hello.txt",
        "",
    );
    let _ = namespace
        .apply(&format!("{manifest}---\n{job}"))
        .expect_ok();
    namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
}

#[test]
fn a_pod_waits_for_a_late_secret_and_its_events_say_so() {
    let (namespace, bucket) = (Namespace::new("waits"), Bucket::new("waits"));
    bucket.put("hello.txt", b"hello\n");
    let settings = settings();
    let manifest = format!(
        "apiVersion: com.ie.ibm.hpsys/v1alpha1\nkind: Dataset\nmetadata:\n  name: books\nspec:\n  local: {{type: COS, endpoint: \
         \"{}\", bucket: {}, secret-name: my-keys}}\n",
        settings.get("S3_ENDPOINT"),
        bucket.name
    );
    let job = pod(
        "reader",
        "dataset.0.id: books",
        "cat /mnt/datasets/books/hello.txt",
        "",
    );
    let _ = namespace
        .apply(&format!("{manifest}---\n{job}"))
        .expect_ok();
    eventually(
        "an event of the pod that names the Secret",
        POD_WITHIN,
        || contains(&namespace.events("reader"), "my-keys"),
    );
    let literal = |key: &str, name: &str| format!("--from-literal={key}={}", settings.get(name));
    let _ = namespace
        .kubectl(&[
            "create",
            "secret",
            "generic",
            "my-keys",
            &literal("accessKeyID", "S3_KEY"),
            &literal("secretAccessKey", "S3_SECRET"),
        ])
        .expect_ok();
    namespace.wait_phase("reader", "Succeeded", Duration::from_secs(150));
}

#[test]
fn a_dataset_in_use_stays_until_its_last_pod_has_gone() {
    let (namespace, bucket) = (Namespace::new("inuse"), Bucket::new("inuse"));
    bucket.put("hello.txt", b"hello\n");
    let _ = namespace
        .apply(&format!(
            "{}---\n{}",
            dataset("books", &bucket.name, ""),
            pod("user", "dataset.0.id: books", SLEEP, "")
        ))
        .expect_ok();
    namespace.wait_ready("user", POD_WITHIN);
    let kind = "datasets.com.ie.ibm.hpsys/books";
    let (_, message) = namespace.wait_condition(kind, "InUse", "True", Duration::from_secs(20));
    contains(&message, "user").unwrap();
    let _ = namespace
        .kubectl(&["delete", kind, "--wait=false"])
        .expect_ok();
    assert_eq!(
        namespace
            .exec("user", "cat /mnt/datasets/books/hello.txt")
            .expect_ok(),
        "hello\n"
    );
    let refused = namespace
        .apply(&pod("late", "dataset.0.id: books", SLEEP, ""))
        .expect_refused();
    contains(&refused, "deleted").unwrap();
    let _ = namespace.kubectl(&["delete", "pod", "user"]).expect_ok();
    eventually("the Dataset to go", Duration::from_mins(1), || {
        let found = namespace.kubectl(&["get", kind]);
        if found.error.contains("NotFound") {
            Ok(())
        } else {
            Err(found.text)
        }
    });
    assert_eq!(namespace.traces(), "");
}

#[test]
fn keys_rotate_into_a_running_mount() {
    let (namespace, bucket) = (Namespace::new("rotate"), Bucket::new("rotate"));
    bucket.put("hello.txt", b"hello\n");
    let _ = namespace
        .apply(&format!(
            "{}---\n{}",
            dataset("books", &bucket.name, ""),
            pod("user", "dataset.0.id: books", SLEEP, "")
        ))
        .expect_ok();
    namespace.wait_ready("user", POD_WITHIN);
    let read = || {
        namespace.exec(
            "user",
            "cat /mnt/datasets/books/hello.txt && ls /mnt/datasets/books",
        )
    };
    let _ = read().expect_ok();
    let settings = settings();
    let mounts = || {
        namespace
            .exec("user", "grep /mnt/datasets /proc/self/mounts")
            .expect_ok()
    };
    let before = mounts();
    for (key, secret, works) in [
        ("nobody", "wrong", false),
        (&*settings.get("S3_KEY"), &*settings.get("S3_SECRET"), true),
    ] {
        let patch = format!(
            r#"{{"spec":{{"local":{{"accessKeyID":"{key}","secretAccessKey":"{secret}"}}}}}}"#
        );
        let _ = namespace
            .kubectl(&[
                "patch",
                "datasets.com.ie.ibm.hpsys",
                "books",
                "--type=merge",
                "-p",
                &patch,
            ])
            .expect_ok();
        // A write always goes to the source; a read may be answered from what is cached.
        eventually("the new keys to be used", Duration::from_secs(30), || {
            let written = namespace.exec("user", "echo x > /mnt/datasets/books/$(date +%s%N)");
            if written.ok == works {
                Ok(())
            } else {
                Err(format!("{written:?}"))
            }
        });
    }
    assert_eq!(mounts(), before, "nothing was mounted anew");
}

#[test]
fn a_large_file_is_written_read_and_renamed() {
    let (namespace, bucket) = (Namespace::new("large"), Bucket::new("large"));
    let script = "cd /mnt/datasets/books; head -c 200000000 /dev/zero | tr \"\\0\" a > big; sha256sum < big > /tmp/a; \
                  mkdir d; mv big d/bigger; test ! -e big; sha256sum < d/bigger > /tmp/b; cmp /tmp/a /tmp/b; \
                  head -c 200000000 /dev/zero | tr \"\\0\" a | sha256sum | cmp - /tmp/a; stat -c %s d/bigger; rm d/bigger; rmdir d";
    let job = pod("writer", "dataset.0.id: books", script, "");
    let _ = namespace
        .apply(&format!("{}---\n{job}", dataset("books", &bucket.name, "")))
        .expect_ok();
    namespace.wait_phase("writer", "Succeeded", POD_WITHIN);
    assert_eq!(
        namespace.kubectl(&["logs", "writer"]).expect_ok(),
        "200000000\n"
    );
    assert!(bucket.keys().is_empty(), "{:?}", bucket.keys());
}
