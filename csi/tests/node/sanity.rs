//! `csi-sanity`, the specification's own tests, where it has been built (`tests/cluster/tools.sh`).

use std::path::PathBuf;
use std::process::Command;

use crate::node_or_skip;

/// `CSI_SANITY`, or the newest that the test cluster's tools hold.
fn program() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CSI_SANITY") {
        return Some(path.into());
    }
    let tools = PathBuf::from(std::env::var_os("HOME")?).join(".cache/dlf/tools");
    let entries = std::fs::read_dir(tools).ok()?.flatten();
    let programs = entries
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("csi-sanity-")
        })
        .map(|entry| entry.path().join("csi-sanity"));
    programs.filter(|path| path.is_file()).max()
}

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
        .arg("--ginkgo.v")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // It cannot publish without a controller service; this directory's other tests do.
    for line in text.lines().filter(|line| line.contains("[SKIPPED]")) {
        println!("SKIPPED csi-sanity: {line}");
    }
    let tail: Vec<_> = text.lines().rev().take(40).collect();
    println!(
        "{}",
        tail.iter().rev().copied().collect::<Vec<_>>().join("\n")
    );
    assert!(output.status.success());
}
