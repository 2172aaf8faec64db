//! What dies on a node: the driver, a mounter's child, the mounter.

use std::process::Command;

use dlf_tests::{POD_WITHIN, eventually, kubectl, on_our_own_cluster};

use crate::reader::Reader;

#[test]
fn restarting_the_node_driver_gives_a_reading_pod_no_error() {
    let reader = Reader::start("restart");
    let _ = reader
        .of_its_node("csi", &["delete", "pod", "--wait=true"])
        .expect_ok();
    eventually("the new driver", POD_WITHIN, || {
        let path = r#"jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}"#;
        let found = reader.of_its_node("csi", &["get", "pod", "-o", path]);
        if found.text == "True" {
            Ok(())
        } else {
            Err(found.text)
        }
    });
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    reader.another_reads();
}

#[test]
fn rolling_the_node_driver_out_anew_gives_a_reading_pod_no_error() {
    let reader = Reader::start("rollout");
    let driver = |arguments: &[&str]| {
        let all = [&["-n", "dlf-system", "rollout"], arguments].concat();
        let _ = kubectl(&all).expect_ok();
    };
    driver(&["restart", "daemonset/dlf-csi"]);
    driver(&["status", "daemonset/dlf-csi", "--timeout=120s"]);
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    reader.another_reads();
}

#[test]
fn a_killed_mounter_child_is_replaced_within_thirty_seconds() {
    let test = "a_killed_mounter_child_is_replaced_within_thirty_seconds";
    if !on_our_own_cluster(test, "it kills a process") {
        return;
    }
    let reader = Reader::start("child");
    let device = reader.device();
    let volume = reader.namespace.get("pvc", "books")["spec"]["volumeName"].clone();
    let Some(children) = reader.node.servers_of(volume.as_str().unwrap()) else {
        println!("SKIPPED {test}: this kernel does not tell who serves a mount");
        return;
    };
    assert_eq!(children.len(), 1, "{children:?}");
    let killed = Command::new("kill").arg("-9").args(children).status();
    assert!(killed.unwrap().success());
    reader.is_served_anew(&device);
}

#[test]
fn a_killed_mounter_is_replaced_within_thirty_seconds() {
    let reader = Reader::start("mounter");
    let device = reader.device();
    let killed = [
        "delete",
        "pod",
        "--force",
        "--grace-period=0",
        "--wait=false",
    ];
    let _ = reader.of_its_node("mounter", &killed).expect_ok();
    reader.is_served_anew(&device);
    reader.another_reads();
}
