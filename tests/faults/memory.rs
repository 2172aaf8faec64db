//! A file-system process that reaches the mounter's memory limit.

use std::time::Duration;

use dlf_tests::{
    Bucket, Node, POD_WITHIN, Reader, Values, dataset, eventually, installed_mounter, list,
    nothing_is_left, on_our_own_cluster, pod, upgrade,
};
use serde_json::Value;

use crate::ours::SYSTEM;

/// Less than one process may hold of what it reads ahead.
const LIMIT: &str = "96Mi";
const FILES: usize = 16;
const FILE_BYTES: usize = 32 << 20;

/// Reads of each file what makes it a stream with a large window, and no further: what was fetched
/// ahead of it stays, however slow the source is beside the reader.
const READ_HALF: &str = "cd /mnt/datasets/large; for file in f*; do \
    { head -c 18874368 > /dev/null; touch /tmp/$file; exec sleep 600; } < $file & \
    until test -e /tmp/$file; do sleep 0.1; done; done; wait";

#[test]
fn a_process_at_the_mounters_memory_limit_is_replaced_and_other_datasets_have_no_error() {
    if !on_our_own_cluster("it looks into the node's control groups") {
        return;
    }
    nothing_is_left(); // a mounter that goes with what it served is not the one that is watched
    let _kept = Values::kept();
    upgrade(&["--set", &format!("mounter.resources.limits.memory={LIMIT}")]);
    let mounter = installed_mounter();
    let light = Reader::start("memory");
    let namespace = &light.namespace;
    let large = Bucket::new("large");
    let bytes = vec![7; FILE_BYTES];
    for number in 0..FILES {
        large.put(&format!("f{number}"), &bytes);
    }
    let more = format!("  nodeName: {}\n", light.node.name);
    let reader = pod("heavy", "dataset.0.id: large", READ_HALF, &more);
    let both = format!("{}---\n{reader}", dataset("large", &large.name, ""));
    let _ = namespace.apply(&both).expect_ok();
    namespace.wait_ready("heavy", POD_WITHIN);
    eventually("a process to be killed", Duration::from_mins(2), || {
        let memory = memory_of(&light.node, &mounter);
        if killed(&memory) > 0 {
            Ok(())
        } else {
            Err(format!("{mounter}:\n{memory}"))
        }
    });
    eventually("a new open", Duration::from_secs(30), || {
        let read = namespace.exec("heavy", "head -c 4 /mnt/datasets/large/f0 | wc -c");
        if read.ok && read.text.trim() == "4" {
            Ok(())
        } else {
            Err(format!("{read:?}"))
        }
    });
    light.goes_on();
    assert_eq!(light.errors(), "");
}

/// What the kernel tells of the control groups of a mounter's pod on a node.
fn memory_of(node: &Node, mounter: &str) -> String {
    let name = mounter.rsplit('/').next().unwrap();
    let pods = list("pods", SYSTEM, "app.kubernetes.io/component=mounter");
    let is_it = |pod: &&Value| {
        pod["spec"]["nodeName"] == node.name
            && pod["metadata"]["ownerReferences"][0]["name"] == name
    };
    let pod = pods.iter().find(is_it);
    let pod = pod.unwrap_or_else(|| panic!("no pod of {name} on {}", node.name));
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let files = "memory.oom_control memory.max_usage_in_bytes memory.events memory.peak";
    let read = node.sh(&format!(
        "find /sys/fs/cgroup -type d -path '*pod{uid}*' | while read -r group; do \
            cd \"$group\" && grep -s '' {files} | sed \"s|^|$group/|\"; done"
    ));
    read.text
}

/// Processes that the kernel killed at a limit of these groups.
fn killed(memory: &str) -> u64 {
    let counts = memory
        .lines()
        .filter_map(|line| line.split_once(":oom_kill "));
    counts
        .filter_map(|(_, count)| count.parse::<u64>().ok())
        .sum()
}
