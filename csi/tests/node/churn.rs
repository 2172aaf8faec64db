//! Much coming and going.

use crate::csi::{fuse, request};
use crate::mounter::Mounter;
use crate::node::{Node, layers};
use crate::node_or_skip;

const ROUNDS: usize = 40;

/// Threads that block in system calls stay for a while after their work (tokio keeps them for 10 s).
const IDLE_THREADS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn publishes_and_unpublishes_of_one_target_at_once_leave_nothing_behind() {
    let node =
        node_or_skip!("publishes_and_unpublishes_of_one_target_at_once_leave_nothing_behind");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    let ask = || request("dlf-1", "pod-1", &target);
    // What is there once and stays.
    node.publish(ask()).await.unwrap();
    settle(&node, &mounter).await;
    let before = (count(&node, "fd"), count(&node, "task"));
    for round in 0..ROUNDS {
        let (first, second, third) = tokio::join!(
            node.publish(ask()),
            node.unpublish("dlf-1", &target),
            node.publish(ask()),
        );
        first.and(second).and(third).unwrap();
        // In whatever order they came: one layer or none.
        assert!(layers(&target) <= 1, "round {round}: {}", layers(&target));
    }
    settle(&node, &mounter).await;
    // The last caller's connection is closed after the answer.
    node.wait("descriptors to be closed", || {
        (count(&node, "fd") <= before.0).then_some(())
    })
    .await;
    assert!(count(&node, "task") <= before.1 + IDLE_THREADS);
}

async fn settle(node: &Node, mounter: &Mounter) {
    let target = node.target("pod-1");
    node.unpublish("dlf-1", &target).await.unwrap();
    assert_eq!(layers(&target), 0);
    node.wait("the end of all mounts and children", || {
        (node.mounts() == 0 && mounter.children().is_empty()).then_some(())
    })
    .await;
    assert!(!node.has_record("targets") && !node.has_record("mounts"));
}

/// Descriptors or threads of the driver.
fn count(node: &Node, what: &str) -> usize {
    let directory = format!("/proc/{}/{what}", node.driver_pid());
    std::fs::read_dir(directory).unwrap().count()
}
