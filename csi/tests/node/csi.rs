//! Requests as a kubelet makes them, and datasets as an operator does.

use std::path::Path;

use dlf_wire::csi::volume_capability::access_mode::Mode;
use dlf_wire::csi::volume_capability::{AccessMode, AccessType, MountVolume};
use dlf_wire::csi::{NodePublishVolumeRequest, NodeUnpublishVolumeRequest, VolumeCapability};
use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume, HostPathVolume};
use tonic::Status;

use crate::node::Node;

pub(crate) fn request(handle: &str, pod: &str, target: &Path) -> NodePublishVolumeRequest {
    let context = [("namespace", "ns"), ("name", pod), ("uid", pod)];
    NodePublishVolumeRequest {
        volume_id: handle.into(),
        target_path: target.to_str().unwrap().into(),
        volume_capability: Some(VolumeCapability {
            access_mode: Some(AccessMode {
                mode: Mode::MultiNodeMultiWriter.into(),
            }),
            access_type: Some(AccessType::Mount(MountVolume::default())),
        }),
        volume_context: context
            .map(|(key, value)| (format!("csi.storage.k8s.io/pod.{key}"), value.into()))
            .into(),
        ..NodePublishVolumeRequest::default()
    }
}

pub(crate) fn with_group(
    mut request: NodePublishVolumeRequest,
    group: &str,
) -> NodePublishVolumeRequest {
    if let Some(AccessType::Mount(mount)) = request
        .volume_capability
        .as_mut()
        .and_then(|it| it.access_type.as_mut())
    {
        mount.volume_mount_group = group.into();
    }
    request
}

impl Node {
    pub(crate) async fn publish(&self, request: NodePublishVolumeRequest) -> Result<(), Status> {
        self.csi()
            .await
            .node_publish_volume(request)
            .await
            .map(drop)
    }

    pub(crate) async fn unpublish(&self, handle: &str, target: &Path) -> Result<(), Status> {
        let request = NodeUnpublishVolumeRequest {
            volume_id: handle.into(),
            target_path: target.to_str().unwrap().into(),
        };
        self.csi()
            .await
            .node_unpublish_volume(request)
            .await
            .map(drop)
    }
}

pub(crate) fn fuse(handle: &str, version: u64, source_revision: &str) -> DatasetConfig {
    DatasetConfig {
        volume_handle: handle.into(),
        version,
        namespace: "ns".into(),
        name: "data".into(),
        source_revision: source_revision.into(),
        readonly: false,
        volume: Some(Volume::Fuse(FuseVolume {
            program: "native".into(),
            ..FuseVolume::default()
        })),
    }
}

pub(crate) fn host_path(handle: &str, path: &str, create: bool) -> DatasetConfig {
    DatasetConfig {
        volume: Some(Volume::HostPath(HostPathVolume {
            prefix: "/srv/data".into(),
            path: path.into(),
            create,
        })),
        ..fuse(handle, 1, "r")
    }
}
