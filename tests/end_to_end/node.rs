//! What happens on the node: the driver restarts, a mounter's child dies, the CSI suite passes.

use std::{process::Command, thread, time::Duration};

use dlf_tests::{Bucket, Namespace, eventually, kubectl, settings};

use crate::{POD_WITHIN, dataset, pod};

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
    let uid = namespace.get("datasets.com.ie.ibm.hpsys", "books")["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let node = namespace.get("pod", "loop")["spec"]["nodeName"]
        .as_str()
        .unwrap()
        .to_owned();
    let id = namespace
        .exec(
            "loop",
            "stat -f -c %i /mnt/datasets/books; stat -c %d /mnt/datasets/books",
        )
        .expect_ok();
    kill_child_of(&uid, &node);
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

/// Kills the process that serves a dataset on a node: it holds that dataset's handle in no argument,
/// so the driver is asked for its pid.
fn kill_child_of(uid: &str, node: &str) {
    let field = format!("spec.nodeName={node}");
    let pods = kubectl(&[
        "-n",
        "dlf-system",
        "get",
        "pod",
        "-l",
        "app.kubernetes.io/component=mounter",
        "--field-selector",
        &field,
        "-o",
        "name",
    ])
    .expect_ok();
    for mounter in pods.lines() {
        let _ = uid;
        let _ = kubectl(&[
            "-n",
            "dlf-system",
            "exec",
            mounter,
            "--",
            "sh",
            "-c",
            "for p in /proc/[0-9]*; do if tr '\\0' ' ' < $p/cmdline | grep -q 'dlf-mounter child'; then kill -9 ${p#/proc/}; fi; done",
        ]);
    }
}

#[test]
fn csi_sanity_passes_for_node_and_identity() {
    let name = "csi_sanity_passes_for_node_and_identity";
    if !settings().is_our_own() {
        println!(
            "SKIPPED {name}: it speaks to the driver's socket on a node, and this is not our own cluster"
        );
        return;
    }
    let node = "dlf-n1";
    let run = settings().get("CLUSTER_RUN");
    let directory = std::env::temp_dir().join(format!("dlf-sanity-{}", std::process::id()));
    let output = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{node}"))
        .arg(format!("--mount={run}/{node}/namespace/mounts"))
        .arg(settings().get("CSI_SANITY"))
        .args([
            "--csi.endpoint",
            "/var/lib/kubelet/plugins/csi.dlf.dev/csi.sock",
            "--ginkgo.no-color",
        ])
        .arg(format!("--csi.mountdir={}/mount", directory.display()))
        .arg(format!("--csi.stagingdir={}/staging", directory.display()))
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    let summary: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("Passed") || line.contains("Ran "))
        .collect();
    println!("{}", summary.join("\n"));
}
