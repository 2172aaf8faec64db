//! What dies on a node: the driver, a child of the mounter, the mounter.

use std::{process::Command, time::Duration};

use dlf_tests::{DATASETS, Reader, eventually, list, nothing_is_left, on_our_own_cluster};

use crate::ours::{SYSTEM, is_up, names, ours};

/// A node that is away reports nothing; what only it knew is asked of the API server.
const GONE_WITHIN: Duration = Duration::from_mins(1);

#[test]
fn killing_the_node_driver_and_rolling_it_out_anew_give_a_reading_pod_no_error() {
    if !on_our_own_cluster("it kills the node driver") {
        return;
    }
    let reader = Reader::start("driver");
    let killed = ["delete", "pod", "--force", "--grace-period=0"];
    let _ = reader.of_its_node("csi", &killed).expect_ok();
    is_up("daemonset/dlf-csi");
    reader.goes_on();
    let _ = ours(&["rollout", "restart", "daemonset/dlf-csi"]);
    is_up("daemonset/dlf-csi");
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    reader.another_reads();
}

#[test]
fn a_killed_child_of_the_mounter_and_a_killed_mounter_are_replaced_within_thirty_seconds() {
    if !on_our_own_cluster("it kills a process") {
        return;
    }
    nothing_is_left(); // a mounter that still takes others' mounts down has more to do
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

/// No node has a driver until this is dropped.
struct NoDrivers;

impl NoDrivers {
    fn begin() -> Self {
        let guard = Self;
        Self::select(r#""true""#);
        eventually("the drivers to go", GONE_WITHIN, || {
            let left = list("pods", SYSTEM, "app.kubernetes.io/component=csi");
            if left.is_empty() {
                Ok(())
            } else {
                Err(names(&left).join(" "))
            }
        });
        guard
    }

    /// Has the drivers run on nodes with a label that no node has, if it has a value.
    fn select(value: &str) {
        let selector = format!(r#"{{"nodeSelector":{{"dlf.dev/nowhere":{value}}}}}"#);
        let patch = format!(r#"{{"spec":{{"template":{{"spec":{selector}}}}}}}"#);
        let _ = ours(&["patch", "daemonset/dlf-csi", "--type=merge", "-p", &patch]);
    }
}

impl Drop for NoDrivers {
    fn drop(&mut self) {
        Self::select("null");
        is_up("daemonset/dlf-csi");
    }
}

#[test]
fn a_dataset_goes_although_its_last_pods_node_cannot_tell_that_it_went() {
    if !on_our_own_cluster("it takes the node drivers away") {
        return;
    }
    let reader = Reader::start("silent");
    let namespace = &reader.namespace;
    let volume = namespace.get("pvc", "books")["spec"]["volumeName"].clone();
    let volume = volume.as_str().unwrap();
    let away = NoDrivers::begin();
    reader.goes_on();
    let pod = ["delete", "pod", "loop", "--force", "--grace-period=0"];
    let _ = namespace.kubectl(&pod).expect_ok();
    let dataset = ["delete", DATASETS, "books", "--wait=false"];
    let _ = namespace.kubectl(&dataset).expect_ok();
    namespace.wait_gone(DATASETS, "books", GONE_WITHIN);
    drop(away);
    eventually("the node to forget it", GONE_WITHIN, || {
        let traces = reader.node.traces_of(volume);
        if traces.is_empty() {
            Ok(())
        } else {
            Err(traces)
        }
    });
}
