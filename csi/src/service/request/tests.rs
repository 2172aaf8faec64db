use dlf_wire::csi::volume_capability::{AccessMode, BlockVolume, MountVolume};
use tonic::Code;

use super::*;

const KUBELET: &str = "/var/lib/kubelet";

fn capability(group: &str) -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode {
            mode: Mode::MultiNodeMultiWriter.into(),
        }),
        access_type: Some(AccessType::Mount(MountVolume {
            volume_mount_group: group.into(),
            ..MountVolume::default()
        })),
    }
}

fn request() -> NodePublishVolumeRequest {
    let context = [(POD_NAMESPACE, "ns"), (POD_NAME, "pod"), (POD_UID, "uid")];
    NodePublishVolumeRequest {
        volume_id: "dlf-1".into(),
        target_path: format!("{KUBELET}/pods/uid/volumes/kubernetes.io~csi/dlf-1/mount"),
        volume_capability: Some(capability("")),
        volume_context: context
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        ..NodePublishVolumeRequest::default()
    }
}

fn check(change: impl FnOnce(&mut NodePublishVolumeRequest)) -> Result<Publish, Status> {
    let mut request = request();
    change(&mut request);
    publish(request, Path::new(KUBELET))
}

#[test]
fn a_kubelets_request_passes() {
    let publish = check(|_| {}).unwrap();
    assert_eq!(
        publish.target,
        "pods/uid/volumes/kubernetes.io~csi/dlf-1/mount"
    );
    assert_eq!((publish.pod.name.as_str(), publish.fs_group), ("pod", None));
    let publish = check(|request| request.volume_capability = Some(capability("2000"))).unwrap();
    assert_eq!(publish.fs_group, Some(2000));
}

type Change = Box<dyn FnOnce(&mut NodePublishVolumeRequest)>;

#[test]
fn what_is_missing_or_wrong_is_an_invalid_argument_that_names_it() {
    let cases: [(&str, Change); 13] = [
        ("volume_id", Box::new(|r| r.volume_id.clear())),
        ("volume_id", Box::new(|r| r.volume_id = "../x".into())),
        ("target_path", Box::new(|r| r.target_path.clear())),
        ("target_path", Box::new(|r| r.target_path = "/etc".into())),
        (
            "pods",
            Box::new(|r| r.target_path = format!("{KUBELET}/plugins/csi.dlf.dev/state")),
        ),
        (
            "target_path",
            Box::new(|r| r.target_path = format!("{KUBELET}/pods/a\0b")),
        ),
        (
            "4096",
            Box::new(|r| r.target_path = format!("{KUBELET}/pods/{}", "a".repeat(4096))),
        ),
        (
            "volume_capability",
            Box::new(|r| r.volume_capability = None),
        ),
        (
            "group",
            Box::new(|r| r.volume_capability = Some(capability("staff"))),
        ),
        (
            "block",
            Box::new(|r| {
                let block = AccessType::Block(BlockVolume::default());
                r.volume_capability.as_mut().unwrap().access_type = Some(block);
            }),
        ),
        (
            "access_mode",
            Box::new(|r| {
                r.volume_capability.as_mut().unwrap().access_mode = None;
            }),
        ),
        (
            "podInfoOnMount",
            Box::new(|r| {
                r.volume_context.remove(POD_UID);
            }),
        ),
        (
            "inline",
            Box::new(|r| {
                r.volume_context.insert(EPHEMERAL.into(), "true".into());
            }),
        ),
    ];
    for (word, change) in cases {
        let status = check(change).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{word}");
        assert!(
            status.message().contains(word),
            "{word}: {}",
            status.message()
        );
    }
}

#[test]
fn mount_flags_of_a_volume_are_refused() {
    let mut with_flags = capability("");
    if let Some(AccessType::Mount(mount)) = &mut with_flags.access_type {
        mount.mount_flags.push("suid".into());
    }
    let status = check(|request| request.volume_capability = Some(with_flags)).unwrap_err();
    assert!(status.message().contains("Dataset"));
}
