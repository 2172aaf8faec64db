//! Our own parts: asked, and killed.

use std::{process::Command, time::Duration};

use dlf_tests::{eventually, kubectl, processes};

/// Runs kubectl in our namespace.
pub(crate) fn ours(arguments: &[&str]) -> String {
    kubectl(&[&["-n", "dlf-system"], arguments].concat()).expect_ok()
}

/// A leader that ends gives its Lease back; one that dies holds it for its 10 s.
const LED_WITHIN: Duration = Duration::from_secs(30);

/// The pod that leads, once there is one.
pub(crate) fn leader() -> String {
    let holder = "jsonpath={.spec.holderIdentity}";
    eventually("a leader", LED_WITHIN, || {
        let name = ours(&["get", "lease", "dlf-operator", "-o", holder]);
        if name.is_empty() { Err(name) } else { Ok(name) }
    })
}

/// Kills a pod, which has no time to say good-bye.
pub(crate) fn kill_pod(name: &str) {
    let kill = ["--force", "--grace-period=0", "--wait=false"];
    let _ = ours(&[&["delete", "pod", name], &kill[..]].concat());
}

/// Waits until a workload has all its pods.
pub(crate) fn is_up(workload: &str) {
    let _ = ours(&["rollout", "status", workload, "--timeout=120s"]);
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
    let uid = ours(&["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]);
    let found: Vec<String> = processes(program, &uid)
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
