//! The stream to the operator, and what comes down it.

use std::time::Duration;

use dlf_wire::dataset::v1::NetworkRules;
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

/// A report of `bytes` read of any dataset.
fn reported(bytes: u64) -> impl Fn(&Up) -> Option<()> {
    move |up| match up {
        Up::Report(report) => {
            let found = report.usage.iter().any(|usage| usage.bytes_read == bytes);
            found.then_some(())
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_told_to_the_next_operator_too() {
    let node = node_or_skip!("figures_are_told_to_the_next_operator_too");
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
    node.operator.hear("a report", reported(4096)).await;
    node.operator.stop();
    node.operator.forget_heard();
    node.operator.start().await;
    node.operator.hear("it again", reported(4096)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_job_shorter_than_a_report_are_told() {
    let node = node_or_skip!("the_figures_of_a_job_shorter_than_a_report_are_told");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    mounter.set_last_figures(Usage {
        epoch: 1,
        bytes_read: 4096,
        ..Usage::default()
    });
    node.unpublish("dlf-1", &target).await.unwrap();
    node.operator
        .hear("Released", |up| matches!(up, Up::Released(_)).then_some(()))
        .await;
    let heard = node.operator.heard();
    let report = heard.iter().position(|up| reported(4096)(up).is_some());
    let released = heard.iter().position(|up| matches!(up, Up::Released(_)));
    assert!(report.is_some() && report < released, "{heard:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_a_stream_is_being_opened_is_told() {
    let node = node_or_skip!("what_ends_while_a_stream_is_being_opened_is_told");
    let _mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    node.operator.stop();
    node.operator.forget_heard();
    node.operator.set_silent(true);
    node.operator.start().await;
    node.operator
        .hear("Hello", |up| match up {
            Up::Hello(hello) => (hello.held.len() == 1).then_some(()),
            _ => None,
        })
        .await;
    node.unpublish("dlf-1", &target).await.unwrap();
    assert_eq!(node.mounts(), 0);
    node.operator.set_silent(false);
    node.operator
        .hear("Released", |up| matches!(up, Up::Released(_)).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_comes_while_a_child_is_started_reaches_it() {
    let node = node_or_skip!("a_version_that_comes_while_a_child_is_started_reaches_it");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    mounter.set_answering_starts(false);
    let target = node.target("pod-1");
    let published = node.publish(request("dlf-1", "pod-1", &target));
    let renewed = async {
        node.wait("the start", || {
            (!mounter.started().is_empty()).then_some(())
        })
        .await;
        node.operator.tell(&Down::Dataset(fuse("dlf-1", 2, "s")));
        node.wait("the new version's record", || {
            (node.dataset_version()? == 2).then_some(())
        })
        .await;
        mounter.set_answering_starts(true);
    };
    let (published, ()) = tokio::join!(published, renewed);
    published.unwrap();
    node.wait("the new version in the child", || {
        let configured = mounter.configured();
        let last = configured.last()?.dataset.clone()?;
        (last.version == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn address_rules_reach_a_child_whose_mounter_was_away() {
    let node = node_or_skip!("address_rules_reach_a_child_whose_mounter_was_away");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    node.publish(request("dlf-1", "pod-1", &node.target("pod-1")))
        .await
        .unwrap();
    mounter.set_connected(false);
    node.wait("the end of the connection", || {
        node.log().contains("connection ended").then_some(())
    })
    .await;
    let rules = NetworkRules {
        deny: vec!["192.0.2.0/24".into()],
        ..NetworkRules::default()
    };
    node.operator.tell(&Down::Network(rules.clone()));
    node.wait("the rules' record", || {
        node.has_record("network").then_some(())
    })
    .await;
    mounter.set_connected(true);
    node.wait("the rules in the child", || {
        let configured = mounter.configured();
        (configured.last()?.network.as_ref()? == &rules).then_some(())
    })
    .await;
    assert_eq!(mounter.started().len(), 1);
}
