//! A driver that ends, and the next one.

use dlf_wire::nodes::v1::from_node::Message as Up;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;

use crate::consumer::Consumer;
use crate::csi::{fuse, host_path, request};
use crate::mounter::Mounter;
use crate::node::{Node, layers};
use crate::node_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_driver_costs_a_reader_nothing() {
    let mut node = node_or_skip!("a_killed_driver_costs_a_reader_nothing");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    let consumer = Consumer::start(&target, node.scratch("volume"));
    let reader = std::thread::spawn(move || {
        for _ in 0..300 {
            consumer.read("whoami").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        consumer
    });
    node.kill_driver();
    node.operator.forget_heard();
    node.start_driver().await;
    let consumer = reader.join().unwrap();
    let datasets = node.operator.hear("Hello", |up| match up {
        Up::Hello(hello) => Some(hello.held.clone()),
        _ => None,
    });
    let datasets = datasets.await;
    assert_eq!(datasets[0].volume_handle, "dlf-1");
    assert_eq!(datasets[0].pods[0].name, "pod-1");
    assert_eq!(mounter.started().len(), 1);

    // The new driver knows all it needs for a repair, a second pod and the end.
    mounter.signal(Signal::KILL);
    node.wait("a new open", || consumer.read("whoami").ok())
        .await;
    drop(consumer);
    node.publish(request("dlf-1", "pod-2", &node.target("pod-2")))
        .await
        .unwrap();
    for pod in ["pod-1", "pod-2"] {
        node.unpublish("dlf-1", &node.target(pod)).await.unwrap();
    }
    assert_eq!((node.mounts(), mounter.children().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_while_no_driver_ran_is_repaired_by_the_next() {
    let mut node = node_or_skip!("what_died_while_no_driver_ran_is_repaired_by_the_next");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    let consumer = Consumer::start(&target, node.scratch("volume"));
    node.kill_driver();
    mounter.signal(Signal::KILL);
    node.operator.stop();
    // No operator: the node heals from what it remembers.
    node.start_driver().await;
    node.wait("a new open", || consumer.read("whoami").ok())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_publishes_leaves_nothing_that_cannot_be_undone() {
    let mut node =
        node_or_skip!("a_kill_in_the_middle_of_publishes_leaves_nothing_that_cannot_be_undone");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    for number in 0..8 {
        node.operator.grant(fuse(&format!("dlf-{number}"), 1, "s"));
    }
    for round in 0..6_u64 {
        for number in 0..8 {
            let handle = format!("dlf-{number}");
            let target = node.target(&handle);
            let mut csi = node.csi().await;
            let request = request(&handle, "pod", &target);
            tokio::spawn(async move { csi.node_publish_volume(request).await });
        }
        tokio::time::sleep(std::time::Duration::from_millis(7 * round)).await;
        node.kill_driver();
        node.start_driver().await;
        for number in 0..8 {
            let handle = format!("dlf-{number}");
            let target = node.target(&handle);
            node.publish(request(&handle, "pod", &target))
                .await
                .unwrap();
            assert!(
                std::fs::read_to_string(target.join("whoami"))
                    .unwrap()
                    .starts_with(&handle)
            );
            node.unpublish(&handle, &target).await.unwrap();
            assert_eq!(layers(&target), 0);
        }
        node.wait("the end of all mounts", || {
            (node.mounts() == 0).then_some(())
        })
        .await;
        node.wait("the end of all children", || {
            mounter.children().is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_boot_leftovers_are_cleared_and_the_kubelet_can_ask_again() {
    let mut node =
        node_or_skip!("after_a_boot_leftovers_are_cleared_and_the_kubelet_can_ask_again");
    std::fs::create_dir(node.host.join("srv/data/x")).unwrap();
    node.operator.grant(host_path("dlf-1", "x", false));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    node.kill_driver();
    reboot(&node, &target);
    std::fs::create_dir(node.kubelet.join("plugins/csi.dlf.dev/mounts/left-over")).unwrap();
    node.start_driver().await;
    assert_eq!(node.mounts(), 0);
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    assert_eq!(layers(&target), 1);
}

/// Nothing that was mounted is left, directories are.
fn reboot(node: &Node, target: &std::path::Path) {
    for mount in [target, &node.kubelet.join("plugins/csi.dlf.dev/state")] {
        unmount(mount, UnmountFlags::DETACH).unwrap();
    }
}
