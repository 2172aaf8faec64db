//! A mounter with little memory: it serves what it can and refuses the rest.

use std::time::Duration;

use dlf_tests::{
    Bucket, Node, POD_WITHIN, Reader, Values, contains, dataset, eventually, installed_mounter,
    kubectl, list, nothing_is_left, on_our_own_cluster, pod, upgrade,
};
use serde_json::Value;

use crate::ours::SYSTEM;

/// The mounter's own 64 MiB, and two mounts with the least.
const LIMIT: &str = "200Mi";
const FILES: usize = 16;
const FILE_BYTES: usize = 32 << 20;

/// The kubelet doubles its pauses up to two minutes.
const TRIED_AGAIN_WITHIN: Duration = Duration::from_mins(4);

/// Reads of each file what makes it a stream with a large window, and no further: what was fetched
/// ahead of it would stay, however slow the source is beside the reader.
const READ_HALF: &str = "cd /mnt/datasets/large; for file in f*; do \
    { head -c 18874368 > /dev/null && touch /tmp/$file; exec sleep 600; } < $file & \
    until test -e /tmp/$file; do sleep 0.1; done; done; wait";

#[test]
fn a_mounter_with_little_memory_refuses_a_third_mount_until_another_goes_and_nothing_is_killed() {
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
    let heavy = pod("heavy", "dataset.0.id: large", READ_HALF, &more);
    let both = format!("{}---\n{heavy}", dataset("large", &large.name, ""));
    let _ = namespace.apply(&both).expect_ok();
    namespace.wait_ready("heavy", POD_WITHIN);
    eventually("all files to be read", Duration::from_mins(2), || {
        let read = namespace.exec("heavy", "ls /tmp/f* | wc -l");
        if read.ok && read.text.trim() == FILES.to_string() {
            Ok(())
        } else {
            Err(format!("{read:?}"))
        }
    });
    let said = log_of(&light.node, &mounter);
    let served = said.matches("\"message\":\"started\"").count();
    assert_eq!(served, 2, "{mounter} is to serve both: {said}");
    let third = pod("third", "dataset.0.id: third", "sleep 600", &more);
    let both = format!("{}---\n{third}", dataset("third", &light.bucket.name, ""));
    let _ = namespace.apply(&both).expect_ok();
    eventually("an event that names the way out", POD_WITHIN, || {
        contains(
            &namespace.events("third"),
            "mounter.resources.limits.memory",
        )
    });
    let gone = ["delete", "pod", "heavy", "--wait=false", "--grace-period=1"];
    let _ = namespace.kubectl(&gone).expect_ok();
    namespace.wait_ready("third", TRIED_AGAIN_WITHIN);
    light.goes_on();
    assert_eq!(light.errors(), "");
    let memory = memory_of(&light.node, &mounter);
    println!("{memory}");
    assert_eq!(killed(&memory), 0);
}

/// The pod of a mounter on a node.
fn pod_of(node: &Node, mounter: &str) -> Value {
    let name = mounter.rsplit('/').next().unwrap();
    let pods = list("pods", SYSTEM, "app.kubernetes.io/component=mounter");
    let is_it = |pod: &Value| {
        pod["spec"]["nodeName"] == node.name
            && pod["metadata"]["ownerReferences"][0]["name"] == name
    };
    let pod = pods.into_iter().find(is_it);
    pod.unwrap_or_else(|| panic!("no pod of {name} on {}", node.name))
}

/// What a mounter has logged on a node.
fn log_of(node: &Node, mounter: &str) -> String {
    let pod = pod_of(node, mounter);
    let name = pod["metadata"]["name"].as_str().unwrap();
    kubectl(&["-n", SYSTEM, "logs", name]).expect_ok()
}

/// What the kernel tells of the control groups of a mounter's pod on a node.
fn memory_of(node: &Node, mounter: &str) -> String {
    let pod = pod_of(node, mounter);
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
