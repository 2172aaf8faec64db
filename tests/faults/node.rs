//! What dies on a node: the driver, a child of the mounter, the mounter.

use std::process::Command;

use dlf_tests::{kubectl, on_our_own_cluster};

use dlf_tests::Reader;

#[test]
fn killing_the_node_driver_and_rolling_it_out_anew_give_a_reading_pod_no_error() {
    let test = "killing_the_node_driver_and_rolling_it_out_anew_give_a_reading_pod_no_error";
    if !on_our_own_cluster(test, "it kills the node driver") {
        return;
    }
    let reader = Reader::start("driver");
    let killed = ["delete", "pod", "--force", "--grace-period=0"];
    let _ = reader.of_its_node("csi", &killed).expect_ok();
    let driver = |arguments: &[&str]| {
        let all = [&["-n", "dlf-system", "rollout"], arguments].concat();
        let _ = kubectl(&all).expect_ok();
    };
    driver(&["status", "daemonset/dlf-csi", "--timeout=120s"]);
    reader.goes_on();
    driver(&["restart", "daemonset/dlf-csi"]);
    driver(&["status", "daemonset/dlf-csi", "--timeout=120s"]);
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    reader.another_reads();
}

#[test]
fn a_killed_child_of_the_mounter_and_a_killed_mounter_are_replaced_within_thirty_seconds() {
    let test =
        "a_killed_child_of_the_mounter_and_a_killed_mounter_are_replaced_within_thirty_seconds";
    if !on_our_own_cluster(test, "it kills a process") {
        return;
    }
    let reader = Reader::start("mounter");
    let device = reader.device();
    let volume = reader.namespace.get("pvc", "books")["spec"]["volumeName"].clone();
    match reader.node.servers_of(volume.as_str().unwrap()) {
        Some(children) => {
            assert_eq!(children.len(), 1, "{children:?}");
            let killed = Command::new("kill").arg("-9").args(children).status();
            assert!(killed.unwrap().success());
            reader.is_served_anew(&device);
        }
        None => {
            println!("SKIPPED a_killed_child: this kernel does not tell who serves a mount");
        }
    }
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
