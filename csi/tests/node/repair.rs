//! Mounts that die under their consumers.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::consumer::Consumer;
use crate::csi::{fuse, request};
use crate::mounter::Mounter;
use crate::node::layers;
use crate::node_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_child_is_replaced_under_its_consumers() {
    let node = node_or_skip!("a_killed_child_is_replaced_under_its_consumers");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let targets = ["a", "b"].map(|pod| node.target(pod));
    let mut consumers = Vec::new();
    for (pod, target) in ["a", "b"].iter().zip(&targets) {
        node.publish(request("dlf-1", pod, target)).await.unwrap();
        consumers.push(Consumer::start(target, node.scratch(pod)));
    }
    mounter.signal(Signal::KILL);
    let began = Instant::now();
    // These look a name up in the dead mount, which holds its directory until it is answered.
    for consumer in &consumers {
        node.wait("a new open", || consumer.read("whoami").ok())
            .await;
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    node.wait("the dead mount's end", || {
        (node.mounts() == 1).then_some(())
    })
    .await;
    // Exactly one layer more: a repair of one target does not spread to the others.
    for target in &targets {
        assert_eq!(layers(target), 2);
    }
    drop(consumers);
    for target in &targets {
        node.unpublish("dlf-1", target).await.unwrap();
        assert!(!target.exists());
    }
    assert_eq!((node.mounts(), mounter.children().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_mounter_takes_over_from_one_that_has_gone() {
    let node = node_or_skip!("another_mounter_takes_over_from_one_that_has_gone");
    let old = Mounter::listen(&node.kubelet, "r1");
    node.operator.want_mounter("r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    let consumer = Consumer::start(&target, node.scratch("volume"));
    let new = Mounter::listen(&node.kubelet, "r2");
    node.operator.want_mounter("r2");
    drop(old);
    node.wait("a new open", || consumer.read("whoami").ok())
        .await;
    assert_eq!(new.children().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_mounter_of_the_same_revision_serves_again() {
    let node = node_or_skip!("a_restarted_mounter_of_the_same_revision_serves_again");
    let first = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    let consumer = Consumer::start(&target, node.scratch("volume"));
    drop(first);
    let _second = Mounter::listen(&node.kubelet, "r1");
    node.wait("a new open", || consumer.read("whoami").ok())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_dies_before_its_first_consumer_is_there_is_replaced() {
    let node = node_or_skip!("a_child_that_dies_before_its_first_consumer_is_there_is_replaced");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    mounter.set_answering_starts(false);
    let target = node.target("pod-1");
    let published = node.publish(request("dlf-1", "pod-1", &target));
    let died = async {
        node.wait("the start", || {
            (!mounter.children().is_empty()).then_some(())
        })
        .await;
        mounter.signal(Signal::KILL);
        node.wait("the news", || {
            node.log().contains("a mount is dead").then_some(())
        })
        .await;
        mounter.set_answering_starts(true);
    };
    let (published, ()) = tokio::join!(published, died);
    published.unwrap();
    node.wait("a file", || {
        std::fs::read_to_string(target.join("whoami")).ok()
    })
    .await;
    node.unpublish("dlf-1", &target).await.unwrap();
    node.wait("the end of all mounts", || {
        (node.mounts() == 0).then_some(())
    })
    .await;
    assert!(mounter.children().is_empty() && !target.exists());
}
