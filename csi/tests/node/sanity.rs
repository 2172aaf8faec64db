//! `csi-sanity`, the specification's own tests, where it has been built (`tests/cluster/tools.sh`).

use std::path::PathBuf;
use std::process::Command;

use dlf_tests::settings;

use crate::node_or_skip;

fn program() -> Option<PathBuf> {
    let program = settings().find("CSI_SANITY").map(PathBuf::from);
    program.filter(|path| path.is_file())
}

/// It checks a controller without asking whether there is one.
const FOCUS: &str = "--ginkgo.focus=Identity Service|Node Service";

/// The one node case that makes its volume by a controller without asking whether there is one;
/// `publish.rs` beside this file shows the same.
const SKIP: &str = "--ginkgo.skip=should remove target path";

#[tokio::test(flavor = "multi_thread")]
async fn csi_sanity_passes_for_identity_and_node() {
    let node = node_or_skip!("csi_sanity_passes_for_identity_and_node");
    let Some(program) = program() else {
        println!("SKIPPED csi_sanity_passes_for_identity_and_node: there is no csi-sanity");
        return;
    };
    let socket = node.kubelet.join("plugins/csi.dlf.dev/csi.sock");
    let directory = |name: &str| node.kubelet.join("pods").join(name).display().to_string();
    let output = Command::new(program)
        .arg(format!("--csi.endpoint=unix://{}", socket.display()))
        .arg(format!("--csi.mountdir={}", directory("sanity-target")))
        .arg(format!("--csi.stagingdir={}", directory("sanity-staging")))
        .args([FOCUS, SKIP, "--ginkgo.v", "--ginkgo.no-color"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // It cannot publish without a controller service; this directory's other tests do.
    let skipped = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[SKIPPED] "))
        .filter(|reason| !reason.starts_with("in ["));
    for reason in skipped {
        println!("SKIPPED csi-sanity: {reason}");
    }
    let shown = ["[FAIL]", "Expected", "Ran ", "Passed |"];
    for line in text
        .lines()
        .filter(|line| shown.iter().any(|word| line.contains(word)))
    {
        println!("{line}");
    }
    assert!(output.status.success());
}
