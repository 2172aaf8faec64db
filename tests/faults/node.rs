//! What happens on the node: the driver restarts, a mounter's child dies, the CSI suite passes.

use std::{fs, process::Command, thread, time::Duration};

use dlf_tests::{Bucket, Namespace, POD_WITHIN, dataset, eventually, kubectl, pod, settings};

/// Reads one file over and over, and writes down what failed.
const READ_LOOP: &str = "n=0; while true; do if cat /mnt/datasets/books/hello.txt > /tmp/got 2>> /tmp/errors; then n=$((n+1)); echo $n > /tmp/count; \
                         else echo failed >> /tmp/errors; fi; sleep 0.05; done";

#[test]
fn restarting_the_node_driver_gives_a_reading_pod_no_error() {
    let (namespace, bucket) = (Namespace::new("restart"), Bucket::new("restart"));
    bucket.put("hello.txt", b"hello\n");
    let _ = namespace
        .apply(&format!(
            "{}---\n{}",
            dataset("books", &bucket.name, ""),
            pod("loop", "dataset.0.id: books", READ_LOOP, "")
        ))
        .expect_ok();
    namespace.wait_ready("loop", POD_WITHIN);
    let node = namespace.get("pod", "loop")["spec"]["nodeName"]
        .as_str()
        .unwrap()
        .to_owned();
    let field = format!("spec.nodeName={node}");
    let select = [
        "-n",
        "dlf-system",
        "-l",
        "app.kubernetes.io/component=csi",
        "--field-selector",
        &field,
    ];
    let _ = kubectl(&[&["delete", "pod", "--wait=true"], &select[..]].concat()).expect_ok();
    eventually("the new driver", POD_WITHIN, || {
        let path = r#"jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}"#;
        let found = kubectl(&[&["get", "pod", "-o", path], &select[..]].concat());
        if found.text == "True" {
            Ok(())
        } else {
            Err(found.text)
        }
    });
    thread::sleep(Duration::from_secs(2));
    let errors = namespace
        .exec("loop", "cat /tmp/errors; cat /tmp/count")
        .expect_ok();
    assert!(!errors.contains("failed"), "{errors}");
    let again = pod(
        "second",
        "dataset.0.id: books",
        "cat /mnt/datasets/books/hello.txt",
        &format!("  nodeName: {node}\n"),
    );
    let _ = namespace.apply(&again).expect_ok();
    namespace.wait_phase("second", "Succeeded", POD_WITHIN);
}

#[test]
fn a_killed_mounter_child_is_replaced_within_thirty_seconds() {
    if !settings().is_our_own() {
        println!(
            "SKIPPED a_killed_mounter_child_is_replaced_within_thirty_seconds: it kills a process, and this is not our own cluster"
        );
        return;
    }
    let (namespace, bucket) = (Namespace::new("killed"), Bucket::new("killed"));
    bucket.put("hello.txt", b"hello\n");
    let _ = namespace
        .apply(&format!(
            "{}---\n{}",
            dataset("books", &bucket.name, ""),
            pod("loop", "dataset.0.id: books", READ_LOOP, "")
        ))
        .expect_ok();
    namespace.wait_ready("loop", POD_WITHIN);
    let id = namespace
        .exec(
            "loop",
            "stat -f -c %i /mnt/datasets/books; stat -c %d /mnt/datasets/books",
        )
        .expect_ok();
    kill_children();
    eventually(
        "the mount to be served anew",
        Duration::from_secs(30),
        || {
            let read = namespace.exec(
                "loop",
                "stat -c %d /mnt/datasets/books && cat /mnt/datasets/books/hello.txt",
            );
            if read.ok
                && read.text.ends_with("hello\n")
                && !id.contains(read.text.lines().next().unwrap_or("none"))
            {
                Ok(())
            } else {
                Err(format!("{read:?}"))
            }
        },
    );
}

/// Kills every process that serves a mount: nothing says in its arguments which dataset it serves,
/// and while this test runs there is no other. It runs with a uid of its own, its parent as root.
fn kill_children() {
    let mut killed = 0;
    for process in fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
    {
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        if !String::from_utf8_lossy(&arguments).contains("dlf-mounter")
            || status.contains("Uid:\t0\t")
        {
            continue;
        }
        let pid = process.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            Command::new("kill")
                .args(["-9", &pid])
                .status()
                .unwrap()
                .success()
        );
        killed += 1;
    }
    assert!(killed > 0, "no process serves a mount");
}
