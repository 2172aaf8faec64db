//! The stream to the operator, and what comes down it.

use std::time::Duration;

use dlf_wire::mounter::v1::Usage;
use dlf_wire::nodes::v1::from_node::Message as Up;
use dlf_wire::nodes::v1::to_node::Message as Down;
use tonic::Code;

use crate::csi::{fuse, request};
use crate::mounter::Mounter;
use crate::node::{Node, obstacle};
use crate::node_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn a_question_waits_for_an_operator_that_leads() {
    let Some(()) = obstacle().is_none().then_some(()) else {
        println!("SKIPPED a_question_waits_for_an_operator_that_leads: needs root and /dev/fuse");
        return;
    };
    let mut node = Node::prepare();
    let _mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    node.operator.set_follower(true);
    node.operator.start().await;
    node.start_driver().await;
    let target = node.target("pod-1");
    let asked = node.publish(request("dlf-1", "pod-1", &target));
    let elected = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        node.operator.set_follower(false);
    };
    let (published, ()) = tokio::join!(asked, elected);
    published.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operator_the_kubelet_is_told_within_half_a_minute() {
    let node = node_or_skip!("without_an_operator_the_kubelet_is_told_within_half_a_minute");
    node.operator.stop();
    let target = node.target("pod-1");
    let ask = node.publish(request("dlf-1", "pod-1", &target));
    let answer = tokio::time::timeout(Duration::from_secs(30), ask)
        .await
        .unwrap();
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status.message().contains("dlf-operator"),
        "{}",
        status.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_reaches_the_child_and_is_acknowledged() {
    let node = node_or_skip!("a_newer_version_reaches_the_child_and_is_acknowledged");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    node.operator.tell(&Down::Dataset(fuse("dlf-1", 2, "s")));
    let applied = |version| {
        move |up: &Up| match up {
            Up::Applied(applied) if applied.version == version => Some(applied.failure.clone()),
            _ => None,
        }
    };
    assert_eq!(node.operator.hear("Applied 2", applied(2)).await, None);
    assert_eq!(
        mounter
            .configured()
            .last()
            .unwrap()
            .dataset
            .as_ref()
            .unwrap()
            .version,
        2
    );

    // Another bucket: the running pod keeps its own, the next pod gets the new one.
    node.operator
        .tell(&Down::Dataset(fuse("dlf-1", 3, "elsewhere")));
    assert_eq!(node.operator.hear("Applied 3", applied(3)).await, None);
    node.operator.grant(fuse("dlf-1", 3, "elsewhere"));
    let second = node.target("pod-2");
    node.publish(request("dlf-1", "pod-2", &second))
        .await
        .unwrap();
    let text = |target: &std::path::Path| std::fs::read_to_string(target.join("whoami")).unwrap();
    assert_eq!(text(&target), "dlf-1 s");
    assert_eq!(text(&second), "dlf-1 elsewhere");
    assert_eq!(mounter.configured().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_reported_with_its_pods() {
    let node = node_or_skip!("usage_is_reported_with_its_pods");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    node.publish(request("dlf-1", "pod-1", &node.target("pod-1")))
        .await
        .unwrap();
    mounter.report(Usage {
        mount_id: mounter.children().remove(0),
        epoch: 1,
        bytes_read: 4096,
        ..Usage::default()
    });
    let reported = node.operator.hear("a report", |up| match up {
        Up::Report(report) => report
            .usage
            .iter()
            .find(|usage| usage.bytes_read == 4096)
            .cloned(),
        _ => None,
    });
    let reported = reported.await;
    assert_eq!(reported.volume_handle, "dlf-1");
    assert_eq!(reported.pods[0].name, "pod-1");
    assert!(!node.operator.heard().is_empty());
}
