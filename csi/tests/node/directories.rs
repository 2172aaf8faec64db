//! Datasets' directories on the node's disk.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;

use dlf_wire::mounter::DATASET_UIDS;
use dlf_wire::mounter::v1::Start;

use crate::csi::{fuse, request, with_group};
use crate::mounter::Mounter;
use crate::node::{Node, obstacle};
use crate::node_or_skip;

/// The directory that a child was told of, and the uid.
fn directory_and_uid(start: &Start) -> (&str, u32) {
    let staging = start.staging.as_ref().unwrap();
    (&staging.directory, start.uid.unwrap())
}

/// A directory that an earlier driver left, with a file in it.
fn leave(node: &Node, dataset: &str, uid: u32, file: &str) -> PathBuf {
    let directory = node.staging().join(dataset);
    let file = directory.join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "x").unwrap();
    chown(&directory, Some(uid), Some(uid)).unwrap();
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_has_a_uid_and_a_directory_from_its_first_mount_to_its_last() {
    let node =
        node_or_skip!("a_dataset_has_a_uid_and_a_directory_from_its_first_mount_to_its_last");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    let pods = [
        ("dlf-1", "a", "2000"),
        ("dlf-1", "b", "3000"),
        ("dlf-2", "c", "2000"),
    ];
    for (handle, pod, group) in pods {
        node.operator.grant(fuse(handle, 1, "s"));
        let request = with_group(request(handle, pod, &node.target(pod)), group);
        node.publish(request).await.unwrap();
    }
    let (first, second) = (DATASET_UIDS.start, DATASET_UIDS.start + 1);
    let started = mounter.started();
    let found: Vec<_> = started.iter().map(directory_and_uid).collect();
    assert_eq!(found, [("1", first), ("1", first), ("2", second)]);
    for (name, uid) in [("1", first), ("2", second)] {
        let own = std::fs::metadata(node.staging().join(name)).unwrap();
        assert_eq!(
            (own.uid(), own.gid(), own.mode() & 0o777),
            (uid, uid, 0o700)
        );
    }
    let root = std::fs::metadata(node.staging()).unwrap();
    assert_eq!((root.uid(), root.mode() & 0o7777), (0, 0o711));
    for start in &started {
        let staging = start.staging.as_ref().unwrap();
        let sizes = (
            staging.file_bytes_max >> 30,
            staging.dataset_bytes_max >> 30,
        );
        assert_eq!(sizes, (64, 128));
        assert!(staging.free_bytes_min > 0);
    }
    for (handle, pod, _) in pods {
        assert!(
            node.staging()
                .join(handle.strip_prefix("dlf-").unwrap())
                .exists()
        );
        node.unpublish(handle, &node.target(pod)).await.unwrap();
    }
    node.wait_for_no_directories().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_driver_knows_a_dataset_by_its_directory() {
    let mut node = node_or_skip!("the_next_driver_knows_a_dataset_by_its_directory");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    for handle in ["dlf-1", "dlf-2"] {
        node.operator.grant(fuse(handle, 1, "s"));
        let request = request(handle, handle, &node.target(handle));
        node.publish(request).await.unwrap();
    }
    node.unpublish("dlf-1", &node.target("dlf-1"))
        .await
        .unwrap();
    node.kill_driver();
    node.start_driver().await;
    let again = with_group(request("dlf-2", "other", &node.target("other")), "2000");
    node.publish(again).await.unwrap();
    let last = mounter.started().pop().unwrap();
    assert_eq!(directory_and_uid(&last), ("2", DATASET_UIDS.start + 1));
    for pod in ["dlf-2", "other"] {
        node.unpublish("dlf-2", &node.target(pod)).await.unwrap();
    }
    node.wait_for_no_directories().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_boot_what_was_live_goes_and_what_was_kept_stays() {
    let name = "after_a_boot_what_was_live_goes_and_what_was_kept_stays";
    if let Some(reason) = obstacle() {
        println!("SKIPPED {name}: {reason}");
        return;
    }
    let mut node = Node::prepare();
    let uid = DATASET_UIDS.start;
    let live = leave(&node, "1", uid, "live/dlf-1.s.-.0/staged");
    let kept = leave(&node, "2", uid + 1, "kept/file");
    let both = leave(&node, "3", uid + 2, "live/dlf-3.s.-.0/staged");
    leave(&node, "3", uid + 2, "kept/file");
    node.operator.start().await;
    node.start_driver().await;
    node.wait("what was live to go", || {
        let left = std::fs::read_dir(node.staging()).unwrap().count();
        (left == 2 && !both.join("live/dlf-3.s.-.0").exists()).then_some(())
    })
    .await;
    assert!(!live.exists());
    assert!(kept.join("kept/file").exists() && both.join("kept/file").exists());

    // A mount of the dataset finds its own again, and another gets the uid that is free.
    let mounter = Mounter::listen(&node.kubelet, "r1");
    for handle in ["dlf-3", "dlf-4"] {
        node.operator.grant(fuse(handle, 1, "s"));
        let request = request(handle, handle, &node.target(handle));
        node.publish(request).await.unwrap();
    }
    let started = mounter.started();
    let found: Vec<_> = started.iter().map(directory_and_uid).collect();
    assert_eq!(found, [("3", uid + 2), ("4", uid)]);
    for handle in ["dlf-3", "dlf-4"] {
        node.unpublish(handle, &node.target(handle)).await.unwrap();
    }
    assert!(both.join("kept/file").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_directory_a_dataset_is_mounted_all_the_same() {
    let node = node_or_skip!("without_a_directory_a_dataset_is_mounted_all_the_same");
    let mounter = Mounter::listen(&node.kubelet, "r1");
    node.operator.grant(fuse("dlf-1", 1, "s"));
    // Nobody's that a dataset could be.
    let anothers = node.staging().join("1");
    std::fs::create_dir(&anothers).unwrap();
    chown(&anothers, Some(1000), Some(1000)).unwrap();
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    let text = std::fs::read_to_string(target.join("whoami")).unwrap();
    assert_eq!(text, "dlf-1 s");
    let start = mounter.started().pop().unwrap();
    assert_eq!((start.uid, start.staging), (None, None));
    assert!(node.log().contains("belongs to uid 1000"));
    node.unpublish("dlf-1", &target).await.unwrap();
    node.wait_for_no_directories().await;
}
