//! Our own parts: asked, and killed.

use std::{process::Command, time::Duration};

use dlf_tests::{Namespace, await_object, find, kubectl, list, processes};
use serde_json::Value;

/// The namespace of our parts.
pub(crate) const SYSTEM: &str = "dlf-system";

/// Runs kubectl in our namespace.
pub(crate) fn ours(arguments: &[&str]) -> String {
    kubectl(&[&["-n", SYSTEM], arguments].concat()).expect_ok()
}

/// A leader that ends gives its Lease back; one that dies holds it for its 10 s.
const LED_WITHIN: Duration = Duration::from_secs(30);

/// The pod that leads, once there is one.
pub(crate) fn leader() -> String {
    let lease = ("lease", SYSTEM, "dlf-operator");
    await_object("a leader", LED_WITHIN, lease, |lease| {
        let lease = lease.ok_or("there is no Lease")?;
        match lease["spec"]["holderIdentity"].as_str() {
            None | Some("") => Err(lease["spec"].to_string()),
            Some(name) => Ok(name.to_owned()),
        }
    })
}

/// Kills a pod, which has no time to say good-bye.
pub(crate) fn kill_pod(name: &str) {
    let kill = ["--force", "--grace-period=0", "--wait=false"];
    let _ = ours(&[&["delete", "pod", name], &kill[..]].concat());
}

/// Two nodes on two cores start the pods of one of our workloads in seconds; a pod that ends has half a minute.
const UP_WITHIN: Duration = Duration::from_mins(2);

/// Waits until a workload, as `deployment/NAME` or `daemonset/NAME`, has all its pods, each of its present
/// template.
pub(crate) fn is_up(workload: &str) {
    let (kind, name) = workload.split_once('/').unwrap();
    let what = format!("{workload} to be up");
    await_object(&what, UP_WITHIN, (kind, SYSTEM, name), |workload| {
        let workload = workload.ok_or("there is none")?;
        if is_rolled_out(workload) {
            Ok(())
        } else {
            Err(workload["status"].to_string())
        }
    });
}

/// What `kubectl rollout status` waits for.
fn is_rolled_out(workload: &Value) -> bool {
    let count = |name: &str| workload["status"][name].as_u64().unwrap_or_default();
    let generation = workload["metadata"]["generation"].as_u64();
    if count("observedGeneration") < generation.unwrap_or_default() {
        return false;
    }
    // What has none is a DaemonSet.
    if let Some(wanted) = workload["spec"]["replicas"].as_u64() {
        let updated = count("updatedReplicas");
        updated >= wanted && count("replicas") <= updated && count("availableReplicas") >= updated
    } else {
        let wanted = count("desiredNumberScheduled");
        count("updatedNumberScheduled") >= wanted && count("numberAvailable") >= wanted
    }
}

/// Names of objects, in order.
pub(crate) fn names(objects: &[Value]) -> Vec<&str> {
    let names = objects.iter().map(|object| &object["metadata"]["name"]);
    let mut names: Vec<&str> = names.filter_map(Value::as_str).collect();
    names.sort_unstable();
    names
}

/// How many objects of a kind there are that the operator made for Datasets of a namespace.
pub(crate) fn made(kind: &str, namespace: &Namespace) -> usize {
    let label = format!("dlf.dev/dataset-namespace={}", namespace.name);
    list(kind, "", &label).len()
}

/// Kills the processes of a program in a pod, without a signal that they could answer. Only where
/// nodes are namespaces of this machine.
pub(crate) fn kill_process(program: &str, pod: &str) {
    assert!(
        signal("KILL", program, pod),
        "no process {program} of pod {pod}"
    );
}

/// Sends a signal to the processes of a program in a pod; false when there are none.
pub(crate) fn signal(name: &str, program: &str, pod: &str) -> bool {
    let found = find("pod", SYSTEM, pod).unwrap_or_else(|| panic!("there is no pod {pod}"));
    let uid = found["metadata"]["uid"].as_str().unwrap();
    let found: Vec<String> = processes(program, uid)
        .iter()
        .filter_map(|process| process.file_name())
        .map(|pid| pid.to_string_lossy().into_owned())
        .collect();
    let mut kill = Command::new("kill");
    !found.is_empty()
        && kill
            .args(["-s", name])
            .args(found)
            .status()
            .unwrap()
            .success()
}
