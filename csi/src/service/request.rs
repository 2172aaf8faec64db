//! Requests checked before anything is done for them.

use std::collections::HashMap;
use std::path::Path;

use dlf_wire::csi::volume_capability::{AccessType, access_mode::Mode};
use dlf_wire::csi::{NodePublishVolumeRequest, NodeUnpublishVolumeRequest, VolumeCapability};
use dlf_wire::nodes::v1::PodRef;
use tonic::Status;

use crate::layout::{VolumeHandle, below};
use crate::volumes::Publish;

const POD_NAMESPACE: &str = "csi.storage.k8s.io/pod.namespace";
const POD_NAME: &str = "csi.storage.k8s.io/pod.name";
const POD_UID: &str = "csi.storage.k8s.io/pod.uid";
const EPHEMERAL: &str = "csi.storage.k8s.io/ephemeral";

/// Where the kubelet keeps what is its pods': no other directory of its is a target, ours least of all.
const PODS: &str = "pods";
/// Linux's `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4096;

/// What a publish asks for.
pub(super) fn publish(
    request: NodePublishVolumeRequest,
    kubelet: &Path,
) -> Result<Publish, Status> {
    let handle = handle(&request.volume_id)?;
    let target = target(&request.target_path, kubelet)?;
    let capability = request
        .volume_capability
        .ok_or_else(|| missing("volume_capability"))?;
    let fs_group = group(capability)?;
    let context = &request.volume_context;
    if context.get(EPHEMERAL).is_some_and(|value| value == "true") {
        let text = "a dataset is a PersistentVolumeClaim, not an inline volume";
        return Err(Status::invalid_argument(text));
    }
    Ok(Publish {
        handle,
        target,
        pod: PodRef {
            namespace: pod_info(context, POD_NAMESPACE)?,
            name: pod_info(context, POD_NAME)?,
            uid: pod_info(context, POD_UID)?,
        },
        readonly: request.readonly,
        fs_group,
    })
}

/// The target that an unpublish frees.
pub(super) fn unpublish(
    request: &NodeUnpublishVolumeRequest,
    kubelet: &Path,
) -> Result<String, Status> {
    handle(&request.volume_id)?;
    target(&request.target_path, kubelet)
}

fn missing(field: &str) -> Status {
    Status::invalid_argument(format!("{field} is missing"))
}

fn handle(text: &str) -> Result<VolumeHandle, Status> {
    if text.is_empty() {
        return Err(missing("volume_id"));
    }
    let malformed = || Status::invalid_argument("volume_id: not a handle of this driver");
    VolumeHandle::parse(text).ok_or_else(malformed)
}

fn target(text: &str, kubelet: &Path) -> Result<String, Status> {
    if text.is_empty() {
        return Err(missing("target_path"));
    }
    if text.len() >= PATH_BYTES_MAX {
        let text = format!("target_path: longer than {PATH_BYTES_MAX} bytes");
        return Err(Status::invalid_argument(text));
    }
    let outside = || {
        let pods = kubelet.join(PODS);
        let pods = pods.display();
        Status::invalid_argument(format!("target_path: not a plain path below {pods}"))
    };
    let relative = below(kubelet, Path::new(text))
        .filter(|path| below(Path::new(PODS), path).is_some())
        .and_then(Path::to_str)
        .filter(|path| !path.contains('\0'));
    Ok(relative.ok_or_else(outside)?.to_owned())
}

fn group(capability: VolumeCapability) -> Result<Option<u32>, Status> {
    let mount = match capability.access_type {
        Some(AccessType::Mount(mount)) => mount,
        Some(AccessType::Block(_)) => {
            return Err(Status::invalid_argument("a dataset is no block device"));
        }
        None => return Err(missing("volume_capability.mount")),
    };
    let mode = capability
        .access_mode
        .map_or(Mode::Unknown, |access| access.mode());
    if mode == Mode::Unknown {
        return Err(missing("volume_capability.access_mode"));
    }
    if !mount.mount_flags.is_empty() {
        let text = "mount options are not for the PersistentVolume: set them in the Dataset";
        return Err(Status::invalid_argument(text));
    }
    if mount.volume_mount_group.is_empty() {
        return Ok(None);
    }
    let bad = |_| Status::invalid_argument("volume_mount_group: not the number of a group");
    mount.volume_mount_group.parse().map(Some).map_err(bad)
}

fn pod_info(context: &HashMap<String, String>, key: &str) -> Result<String, Status> {
    let value = context.get(key).filter(|value| !value.is_empty());
    let missing = || {
        let text = format!("volume_context has no {key}: CSIDriver needs podInfoOnMount: true");
        Status::invalid_argument(text)
    };
    value.cloned().ok_or_else(missing)
}

#[cfg(test)]
mod tests;
