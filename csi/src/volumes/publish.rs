//! A dataset at a pod's target.

use std::sync::Arc;
use std::time::Duration;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::nodes::v1::{Grant, PodRef};
use tokio::time::Instant;

use super::error::{MountError, PublishError};
use super::{SharedGuard, Volumes};
use crate::layout::VolumeHandle;
use crate::mountinfo::MountTable;
use crate::operator::NeedError;
use crate::state::{MountKey, MountRecord, TargetRecord};

/// How long the operator may take, its absence included. Long enough for a change of leader, short
/// enough that the pod's events name the cause within half a minute.
const GRANT_WITHIN: Duration = Duration::from_secs(25);

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
        self.deps
            .metrics
            .published(result.as_ref().err().map(PublishError::reason));
        result
    }

    async fn publish_in_turn(self: &Arc<Self>, request: &Publish) -> Result<(), PublishError> {
        let guard = self
            .lock_target(&request.target)
            .await
            .ok_or(PublishError::Busy)?;
        if self.is_published(request)? {
            return Ok(());
        }
        let handle = request.handle.as_str();
        let interest = self.interest(handle);
        let result = self.publish_new(request, &guard).await;
        drop(interest);
        if result.is_err() {
            self.forget_if_unused(handle);
        }
        result
    }

    /// Whether an earlier call did the same; an error if it did something else.
    fn is_published(&self, request: &Publish) -> Result<bool, PublishError> {
        let Some(known) = self.deps.state.target(&request.target) else {
            return Ok(false);
        };
        let same = known.volume_handle == request.handle.as_str()
            && known.asked_readonly == request.readonly
            && known.fs_group == request.fs_group
            && known.pod.as_ref() == Some(&request.pod);
        if !same {
            return Err(PublishError::Conflict(describe(&known)));
        }
        let point = self.deps.layout.kubelet().join(&request.target);
        Ok(MountTable::read().is_ok_and(|mounts| mounts.top(&point).is_some()))
    }

    async fn publish_new(
        self: &Arc<Self>,
        request: &Publish,
        guard: &SharedGuard,
    ) -> Result<(), PublishError> {
        let deadline = Instant::now() + GRANT_WITHIN;
        let handle = request.handle.as_str();
        let mut grant = self
            .deps
            .operator
            .need(handle, request.pod.clone(), deadline)
            .await?;
        let dataset = grant
            .dataset
            .take()
            .filter(|dataset| dataset.volume_handle == handle);
        let granted = dataset.ok_or(NeedError::Incomplete)?;
        let newer = self
            .deps
            .state
            .dataset(handle)
            .is_none_or(|it| it.version < granted.version);
        let dataset = self.deps.state.put_dataset(granted)?;
        if newer {
            // Mounts of other pods may have an older version; they need not wait for us, nor we
            // for them.
            self.spawn_apply(dataset.clone());
        }
        let target = target_record(request, &grant, &dataset);
        self.carry_out(target, &dataset, guard)
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
        guard: &SharedGuard,
    ) -> Result<(), MountError> {
        if let Some(Volume::HostPath(_)) = &dataset.volume {
            self.deps.state.put_target(target.clone())?;
        } else {
            let key = MountKey::new(dataset, target.fs_group);
            let key_guard = self.lock_mount(&key).await.ok_or(MountError::Busy)?;
            let mount = self.ensure(&key, dataset, &key_guard).await?;
            target.mount_id.clone_from(&mount.id);
            // Before the lock is released: from here on the mount has a user and is not removed.
            self.deps.state.put_target(target.clone())?;
            drop(key_guard);
            self.refresh(&mount).await;
        }
        let bound = self.bind_over(&target, dataset, guard).await;
        if bound.is_err() {
            self.deps.state.remove_target(&target.target)?;
            self.spawn_release(&target);
        }
        if bound? && let Some(pod) = target.pod {
            self.deps.operator.made(&target.volume_handle, pod);
        }
        Ok(())
    }

    /// Has a mount that other pods use already show a new one the source as it is now: what another
    /// node wrote for this pod is there.
    async fn refresh(&self, mount: &MountRecord) {
        if !mount.is_fuse() {
            return;
        }
        let mounters = &self.deps.mounters;
        if let Err(error) = mounters.refresh(&mount.mounter, &mount.id).await {
            tracing::info!(mount = mount.id, %error, "a pod may see the source as old as revalidate allows");
        }
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
