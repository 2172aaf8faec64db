//! Volumes at targets.

use std::io::ErrorKind;
use std::time::Duration;

use dlf_wire::dataset::v1::NfsVolume;
use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::nodes::v1::Grant;
use dlf_wire::nodes::v1::from_node::Message as Up;
use rustix::process::Signal;
use tonic::Code;

use crate::consumer::Consumer;
use crate::csi::{fuse, request, with_group};
use crate::mounter::Mounter;
use crate::node::{Node, layers, obstacle};
use crate::node_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_appears_at_its_target_and_goes_without_a_trace() {
    let node = node_or_skip!("a_dataset_appears_at_its_target_and_goes_without_a_trace");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "source-1"));
    let target = node.target("pod-1");
    let ask = || request("dlf-1", "pod-1", &target);
    node.publish(ask()).await.unwrap();
    let text = std::fs::read_to_string(target.join("whoami")).unwrap();
    assert_eq!(text, "dlf-1 source-1");

    // Again: nothing happens. Otherwise: refused.
    node.publish(ask()).await.unwrap();
    assert_eq!(layers(&target), 1);
    let mut other = ask();
    other.readonly = true;
    let conflict = node.publish(other).await.unwrap_err();
    assert_eq!(conflict.code(), Code::AlreadyExists);

    node.unpublish("dlf-1", &target).await.unwrap();
    assert!(!target.exists());
    assert_eq!((node.mounts(), mounter.children().len()), (0, 0));
    node.operator
        .hear("Released", |up| {
            matches!(up, Up::Released(it) if it.volume_handle == "dlf-1").then_some(())
        })
        .await;
    node.unpublish("dlf-1", &target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_share_a_mount_unless_their_groups_differ() {
    let node = node_or_skip!("pods_share_a_mount_unless_their_groups_differ");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let targets = ["a", "b", "c"].map(|pod| node.target(pod));
    let plain = |index: usize, pod| request("dlf-1", pod, &targets[index]);
    let (a, b, c) = tokio::join!(
        node.publish(plain(0, "a")),
        node.publish(plain(1, "b")),
        node.publish(with_group(plain(2, "c"), "2000")),
    );
    a.and(b).and(c).unwrap();
    assert_eq!(node.mounts(), 2);
    let groups: Vec<_> = mounter
        .started()
        .iter()
        .map(|start| start.fs_group)
        .collect();
    assert!(
        groups.contains(&None) && groups.contains(&Some(2000)),
        "{groups:?}"
    );
    node.unpublish("dlf-1", &targets[0]).await.unwrap();
    assert_eq!(node.mounts(), 2);
    assert!(targets[1].join("whoami").exists());
    node.unpublish("dlf-1", &targets[1]).await.unwrap();
    node.unpublish("dlf-1", &targets[2]).await.unwrap();
    assert_eq!(node.mounts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_is_told_of_each_new_consumer_and_an_older_mounter_need_not_know_the_word() {
    let node = node_or_skip!(
        "a_mount_is_told_of_each_new_consumer_and_an_older_mounter_need_not_know_the_word"
    );
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    for (consumers, pod) in ["a", "b", "b"].into_iter().enumerate() {
        let target = node.target(pod);
        node.publish(request("dlf-1", pod, &target)).await.unwrap();
        // A call that is repeated brings nobody new.
        let expected = vec![mounter.children()[0].clone(); (consumers + 1).min(2)];
        assert_eq!(mounter.refreshed(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_is_read_only_in_the_consumers_namespace() {
    let node = node_or_skip!("read_only_is_read_only_in_the_consumers_namespace");
    let _mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-rw", 1, "s"));
    let mut readonly = fuse("dlf-ro", 1, "s");
    readonly.readonly = true;
    node.operator.grant(readonly);
    for (handle, expected) in [("dlf-ro", true), ("dlf-rw", false)] {
        let target = node.target(handle);
        node.publish(request(handle, handle, &target))
            .await
            .unwrap();
        let consumer = Consumer::start(&target, node.scratch(handle));
        assert!(consumer.read("whoami").unwrap().starts_with(handle));
        let error = std::fs::create_dir(consumer.path("new")).unwrap_err();
        assert_eq!(
            error.kind() == ErrorKind::ReadOnlyFilesystem,
            expected,
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_sees_its_subpath_only() {
    let node = node_or_skip!("a_pod_sees_its_subpath_only");
    let _mounter = Mounter::listen(&node.kubelet, "r1");
    let grant = |subpath: &str| Grant {
        dataset: Some(fuse("dlf-1", 1, "s")),
        subpath: subpath.into(),
        readonly: true,
        request: 0,
    };
    node.operator.grant_as(grant("sub"));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    assert!(target.join("whoami").exists() && !target.join("sub").exists());

    for (subpath, words) in [("absent", "subpath annotation"), ("../..", "leads out")] {
        node.operator.grant_as(grant(subpath));
        let target = node.target("pod-2");
        let status = node
            .publish(request("dlf-1", "pod-2", &target))
            .await
            .unwrap_err();
        assert!(status.message().contains("ns/data"), "{}", status.message());
        assert!(status.message().contains(words), "{}", status.message());
        assert_eq!(layers(&target), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_the_kubelet_word_for_word() {
    let node = node_or_skip!("a_refusal_reaches_the_kubelet_word_for_word");
    let message = "dataset \"ns/data\" is not ready: the Secret \"keys\" does not exist; create it";
    node.operator.refuse("dlf-1", "SecretMissing", message);
    let target = node.target("pod-1");
    let status = node
        .publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), format!("{message} (SecretMissing)"));
    assert!(!target.exists());
    let mut wrong = request("dlf-1", "pod-1", &target);
    wrong.volume_capability = None;
    assert_eq!(
        node.publish(wrong).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mounter_is_said_and_leaves_nothing() {
    let node = node_or_skip!("no_mounter_is_said_and_leaves_nothing");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    let target = node.target("pod-1");
    let status = node
        .publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status.message().contains("DaemonSet"),
        "{}",
        status.message()
    );
    node.wait_for_no_mounts().await;
    node.operator
        .hear("Released", |up| matches!(up, Up::Released(_)).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_hangs_holds_nobody_else_up() {
    let node = node_or_skip!("a_source_that_hangs_holds_nobody_else_up");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-hangs", 1, "s"));
    node.publish(request("dlf-hangs", "a", &node.target("a")))
        .await
        .unwrap();
    mounter.signal(Signal::STOP);
    // Its subpath has to be looked up, which nobody answers now.
    node.operator.grant_as(Grant {
        dataset: Some(fuse("dlf-hangs", 1, "s")),
        subpath: "sub".into(),
        ..Grant::default()
    });
    let hanging = node.publish(request("dlf-hangs", "b", &node.target("b")));
    node.operator.grant(fuse("dlf-fine", 1, "s"));
    let target = node.target("c");
    tokio::select! {
        result = hanging => panic!("it did not hang: {result:?}"),
        () = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            node.publish(request("dlf-fine", "c", &target)).await.unwrap();
            assert!(target.join("whoami").exists());
            node.unpublish("dlf-fine", &target).await.unwrap();
            node.unpublish("dlf-hangs", &node.target("a")).await.unwrap();
        } => {}
    }
    mounter.signal(Signal::CONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_nfs_server_or_option_is_named() {
    let node = node_or_skip!("a_forbidden_nfs_server_or_option_is_named");
    let mut dataset = fuse("dlf-nfs", 1, "s");
    dataset.volume = Some(Volume::Nfs(NfsVolume {
        server: "127.0.0.1".into(),
        share: "/export".into(),
        options: "vers=4.2,hard".into(),
        create: false,
    }));
    node.operator.grant(dataset.clone());
    let target = node.target("pod-1");
    let refused = node
        .publish(request("dlf-nfs", "pod-1", &target))
        .await
        .unwrap_err();
    assert!(
        refused.message().contains("loopback"),
        "{}",
        refused.message()
    );

    dataset.volume = Some(Volume::Nfs(NfsVolume {
        options: "addr=10.0.0.1".into(),
        ..NfsVolume::default()
    }));
    dataset.version = 2;
    node.operator.grant(dataset);
    let refused = node
        .publish(request("dlf-nfs", "pod-1", &target))
        .await
        .unwrap_err();
    assert!(
        refused.message().contains("not allowed"),
        "{}",
        refused.message()
    );
    node.wait_for_no_mounts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_kernels_read_ahead_cannot_be_set_a_dataset_is_mounted_all_the_same() {
    let name = "where_the_kernels_read_ahead_cannot_be_set_a_dataset_is_mounted_all_the_same";
    if let Some(reason) = obstacle() {
        println!("SKIPPED {name}: {reason}");
        return;
    }
    let mut node = Node::prepare();
    node.prepare = "mount -t tmpfs nothing /sys";
    let _mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    node.operator.start().await;
    node.start_driver().await;
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    assert!(target.join("whoami").exists());
    assert!(node.log().contains("read-ahead stays"));
}
