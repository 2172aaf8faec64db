//! A dataset at a pod's target.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::nodes::v1::{Grant, PodRef};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::MountFlags;
use tokio::time::Instant;

use super::error::{MountError, PublishError};
use super::{Hold, Volumes, blocking};
use crate::host_path;
use crate::layout::VolumeHandle;
use crate::mountinfo::MountTable;
use crate::nfs::Options;
use crate::operator::NeedError;
use crate::state::{MountKey, TargetRecord};
use crate::sys::SysError;
use crate::sys::bind::bind;
use crate::sys::dir::{Entry, make_beneath, open_beneath, open_trusted};

/// How long the operator may take, its absence included. Long enough for a change of leader, short
/// enough that the pod's events name the cause within half a minute.
const GRANT_WITHIN: Duration = Duration::from_secs(25);

/// A bind looks the subpath up in the source, which may be slow.
const BIND_WITHIN: Duration = Duration::from_secs(30);

/// Mode of a target that the kubelet did not make: for the kubelet only.
const TARGET_MODE: Mode = Mode::from_raw_mode(0o750);

/// Mode of a subpath that did not exist, as the rest of a dataset shows.
const SUBPATH_MODE: Mode = Mode::from_raw_mode(0o777);

/// A checked request of the kubelet.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Which dataset.
    pub handle: VolumeHandle,
    /// Where, below the kubelet's directory.
    pub target: String,
    /// For whom.
    pub pod: PodRef,
    /// Whether the pod wants it read-only.
    pub readonly: bool,
    /// The pod's group.
    pub fs_group: Option<u32>,
}

impl Volumes {
    /// Shows a dataset at a pod's target; done already is well done.
    pub async fn publish(self: &Arc<Self>, request: Publish) -> Result<(), PublishError> {
        let volumes = self.clone();
        // In a task of its own: a kubelet that hangs up would stop the work between two steps.
        let work = tokio::spawn(async move { volumes.publish_in_turn(&request).await });
        let result = work.await.unwrap_or(Err(PublishError::Internal));
        self.parts
            .metrics
            .published(result.as_ref().err().map(PublishError::reason));
        result
    }

    async fn publish_in_turn(self: &Arc<Self>, request: &Publish) -> Result<(), PublishError> {
        let hold = self
            .target_turn(&request.target)
            .await
            .ok_or(PublishError::Busy)?;
        if self.is_published(request)? {
            return Ok(());
        }
        let handle = request.handle.as_str();
        let interest = self.interest(handle);
        let result = self.publish_new(request, &hold).await;
        drop(interest);
        if result.is_err() {
            self.forget_if_unused(handle);
        }
        result
    }

    /// Whether an earlier call did the same; an error if it did something else.
    fn is_published(&self, request: &Publish) -> Result<bool, PublishError> {
        let Some(known) = self.parts.state.target(&request.target) else {
            return Ok(false);
        };
        let same = known.volume_handle == request.handle.as_str()
            && known.asked_readonly == request.readonly
            && known.fs_group == request.fs_group
            && known.pod.as_ref() == Some(&request.pod);
        if !same {
            return Err(PublishError::Conflict(describe(&known)));
        }
        let point = self.parts.layout.kubelet().join(&request.target);
        Ok(MountTable::read().is_ok_and(|mounts| mounts.top(&point).is_some()))
    }

    async fn publish_new(
        self: &Arc<Self>,
        request: &Publish,
        hold: &Hold,
    ) -> Result<(), PublishError> {
        let deadline = Instant::now() + GRANT_WITHIN;
        let handle = request.handle.as_str();
        let mut grant = self
            .parts
            .operator
            .need(handle, request.pod.clone(), deadline)
            .await?;
        let dataset = grant
            .dataset
            .take()
            .filter(|dataset| dataset.volume_handle == handle);
        let granted = dataset.ok_or(NeedError::Incomplete)?;
        let newer = self
            .parts
            .state
            .dataset(handle)
            .is_none_or(|it| it.version < granted.version);
        let dataset = self.parts.state.put_dataset(granted)?;
        if newer {
            // Mounts of other pods may have an older version; they need not wait for us, nor we
            // for them.
            self.spawn_apply(dataset.clone());
        }
        let target = target_record(request, &grant, &dataset);
        self.carry_out(target, &dataset, hold)
            .await
            .map_err(|cause| PublishError::Mount {
                dataset: format!("{}/{}", dataset.namespace, dataset.name),
                cause,
            })
    }

    async fn carry_out(
        self: &Arc<Self>,
        mut target: TargetRecord,
        dataset: &DatasetConfig,
        hold: &Hold,
    ) -> Result<(), MountError> {
        if let Some(Volume::HostPath(_)) = &dataset.volume {
            self.parts.state.put_target(target.clone())?;
        } else {
            let key = MountKey::new(dataset, target.fs_group);
            let key_hold = self.key_turn(&key).await.ok_or(MountError::Busy)?;
            target.mount_id = self.ensure(&key, dataset, &key_hold).await?.id;
            // Before the turn ends: from here on the mount has a user and is not removed.
            self.parts.state.put_target(target.clone())?;
        }
        let bound = self.bind_over(&target, dataset, hold).await;
        if bound.is_err() {
            self.parts.state.remove_target(&target.target)?;
            self.spawn_release(&target);
        }
        bound
    }

    /// Binds what the target's record says over whatever is there. The caller holds its turn.
    pub(super) async fn bind_over(
        self: &Arc<Self>,
        target: &TargetRecord,
        dataset: &DatasetConfig,
        hold: &Hold,
    ) -> Result<(), MountError> {
        let (volumes, hold) = (self.clone(), hold.clone());
        let (target, dataset) = (target.clone(), dataset.clone());
        let bound = blocking("the bind", BIND_WITHIN, move || {
            let _hold = hold;
            volumes.bind_now(&target, &dataset)
        });
        bound.await?
    }

    fn bind_now(&self, target: &TargetRecord, dataset: &DatasetConfig) -> Result<(), MountError> {
        let (root, mut flags) = self.open_root(target, dataset)?;
        let source = open_subpath(root, target)?;
        flags.set(
            MountFlags::RDONLY,
            target.readonly || flags.contains(MountFlags::RDONLY),
        );
        let entry = Entry::find(self.kubelet.as_fd(), Path::new(&target.target))?;
        entry.make(TARGET_MODE)?;
        bind(&self.parts.staging, source.as_fd(), &entry, flags)?;
        Ok(())
    }

    /// The dataset's top directory, and the flags that its binds have to have.
    fn open_root(
        &self,
        target: &TargetRecord,
        dataset: &DatasetConfig,
    ) -> Result<(OwnedFd, MountFlags), MountError> {
        if let Some(Volume::HostPath(volume)) = &dataset.volume {
            let root = host_path::open(&self.parts.host, volume)?;
            let flags = host_path::flags(&root)?;
            return Ok((root, flags));
        }
        let flags = match &dataset.volume {
            Some(Volume::Nfs(volume)) => {
                let options: Result<Options, _> = volume.options.parse();
                options.map_err(crate::nfs::NfsError::from)?.bind_flags()
            }
            _ => MountFlags::empty(),
        };
        Ok((open_trusted(&self.mount_point(&target.mount_id))?, flags))
    }
}

fn open_subpath(root: OwnedFd, target: &TargetRecord) -> Result<OwnedFd, MountError> {
    let subpath = PathBuf::from(&target.subpath);
    if subpath.as_os_str().is_empty() {
        return Ok(root);
    }
    match open_beneath(root.as_fd(), &subpath) {
        // Like the kubelet's own subPath: made for whoever may write.
        Err(SysError {
            errno: Errno::NOENT,
            ..
        }) if !target.readonly => Ok(make_beneath(root.as_fd(), &subpath, SUBPATH_MODE)?.0),
        Err(SysError {
            errno: Errno::NOENT | Errno::NOTDIR,
            ..
        }) => Err(MountError::NoSubpath(target.subpath.clone())),
        opened => Ok(opened?),
    }
}

fn target_record(request: &Publish, grant: &Grant, dataset: &DatasetConfig) -> TargetRecord {
    TargetRecord {
        target: request.target.clone(),
        volume_handle: request.handle.as_str().to_owned(),
        mount_id: String::new(),
        pod: Some(request.pod.clone()),
        subpath: grant.subpath.clone(),
        readonly: request.readonly || grant.readonly || dataset.readonly,
        asked_readonly: request.readonly,
        fs_group: request.fs_group,
    }
}

fn describe(known: &TargetRecord) -> String {
    let pod = known.pod.clone().unwrap_or_default();
    format!(
        "volume {} of pod {}/{} ({}, group {:?})",
        known.volume_handle,
        pod.namespace,
        pod.name,
        if known.asked_readonly {
            "read-only"
        } else {
            "read-write"
        },
        known.fs_group
    )
}
