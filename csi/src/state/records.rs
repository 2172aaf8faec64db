//! The records of the state directory, in protobuf like the configurations they hold.

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::nodes::v1::PodRef;

use crate::sys::fuse::Permissions;

/// A mount below `mounts/`, of which targets are binds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MountRecord {
    /// Directory name below `mounts/`, and the mounter's name for its child. Never used twice.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What it serves. Its source revision stays; versions move on.
    #[prost(message, optional, tag = "2")]
    pub dataset: Option<DatasetConfig>,
    /// The group its files show.
    #[prost(uint32, optional, tag = "3")]
    pub fs_group: Option<u32>,
    /// Revision of the mounter that serves it; "" for a kernel mount.
    #[prost(string, tag = "4")]
    pub mounter: String,
}

/// What pods have to agree on to share a mount.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MountKey {
    /// The dataset.
    pub handle: String,
    /// Bucket, prefix and options it is mounted with.
    pub source_revision: String,
    /// The group its files show.
    pub fs_group: Option<u32>,
}

impl MountKey {
    /// The mount that a pod with this group needs of this dataset.
    #[must_use]
    pub fn new(dataset: &DatasetConfig, fs_group: Option<u32>) -> Self {
        Self {
            handle: dataset.volume_handle.clone(),
            source_revision: dataset.source_revision.clone(),
            // The server decides what an NFS file's group is: all pods can share the mount.
            fs_group: fs_group.filter(|_| matches!(dataset.volume, Some(Volume::Fuse(_)))),
        }
    }
}

impl MountRecord {
    /// Who can share it.
    #[must_use]
    pub fn key(&self) -> MountKey {
        match &self.dataset {
            Some(dataset) => MountKey::new(dataset, self.fs_group),
            None => MountKey {
                handle: String::new(),
                source_revision: String::new(),
                fs_group: self.fs_group,
            },
        }
    }

    /// The dataset's handle.
    #[must_use]
    pub fn handle(&self) -> &str {
        self.dataset
            .as_ref()
            .map_or("", |dataset| &dataset.volume_handle)
    }

    /// Whether a mounter's child serves it.
    #[must_use]
    pub fn is_fuse(&self) -> bool {
        let volume = self
            .dataset
            .as_ref()
            .and_then(|dataset| dataset.volume.as_ref());
        matches!(volume, Some(Volume::Fuse(_)))
    }

    /// Modes that let everybody do everything are only shown: the kernel would refuse their change
    /// to all but the owner, and it is to succeed without effect.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        let volume = self
            .dataset
            .as_ref()
            .and_then(|dataset| dataset.volume.as_ref());
        match volume {
            Some(Volume::Fuse(fuse)) if fuse.umask == 0 => Permissions::Server,
            _ => Permissions::Modes,
        }
    }
}

/// A directory that the kubelet asked us to show a dataset at.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TargetRecord {
    /// Path below the kubelet's directory.
    #[prost(string, tag = "1")]
    pub target: String,
    /// The dataset.
    #[prost(string, tag = "2")]
    pub volume_handle: String,
    /// The mount it is a bind of; "" for a host path.
    #[prost(string, tag = "3")]
    pub mount_id: String,
    /// Whose it is.
    #[prost(message, optional, tag = "4")]
    pub pod: Option<PodRef>,
    /// Path inside the dataset.
    #[prost(string, tag = "5")]
    pub subpath: String,
    /// Whether the bind is read-only.
    #[prost(bool, tag = "6")]
    pub readonly: bool,
    /// What the kubelet asked for: a second call has to ask for the same.
    #[prost(bool, tag = "7")]
    pub asked_readonly: bool,
    /// The same, of the pod's group.
    #[prost(uint32, optional, tag = "8")]
    pub fs_group: Option<u32>,
}
