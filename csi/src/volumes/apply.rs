//! Newer configurations brought to running mounts.

use std::sync::Arc;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::mounter::v1::Configure;
use dlf_wire::nodes::v1::Failure;

use super::Volumes;
use super::error::MountError;
use crate::state::MountRecord;

impl Volumes {
    /// Takes a newer version of a dataset that is used here.
    pub(super) fn accept(self: &Arc<Self>, dataset: DatasetConfig) {
        match self.deps.state.renew_dataset(&dataset) {
            Ok(true) => self.spawn_apply(dataset),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a newer version is not kept"),
        }
    }

    /// Brings a version to every running mount of its dataset, and tells the operator.
    pub(super) fn spawn_apply(self: &Arc<Self>, dataset: DatasetConfig) {
        let volumes = self.clone();
        tokio::spawn(async move {
            // One version after the other: the operator counts on the order of the answers.
            let _guard = volumes
                .dataset_locks
                .lock(dataset.volume_handle.clone())
                .await;
            let failure = volumes
                .apply(&dataset)
                .await
                .err()
                .map(|error| Failure::new(error.reason(), error.to_string()));
            let operator = &volumes.deps.operator;
            operator.applied(&dataset.volume_handle, dataset.version, failure);
        });
    }

    async fn apply(&self, dataset: &DatasetConfig) -> Result<(), MountError> {
        // A mount of another source revision stays as it is: its pods keep their source.
        let same_source = |mount: &MountRecord| {
            let served = mount.dataset.as_ref();
            mount.handle() == dataset.volume_handle
                && served.is_some_and(|it| it.source_revision == dataset.source_revision)
        };
        let mut outcome = Ok(());
        for mount in self.deps.state.mounts().into_iter().filter(same_source) {
            if let Err(error) = self.configure(&mount.id, dataset).await {
                tracing::warn!(mount = mount.id, %error, "a mount keeps its configuration");
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn configure(&self, id: &str, dataset: &DatasetConfig) -> Result<(), MountError> {
        // The record first: whoever starts its next child starts it with this.
        match self.deps.state.reconfigure(id, dataset)? {
            Some(mount) if mount.is_fuse() => self.tell_child(&mount).await,
            _ => Ok(()),
        }
    }

    /// Tells a mount's child what it is to work with. The caller holds the dataset's lock, so that
    /// nothing older overtakes it.
    async fn tell_child(&self, mount: &MountRecord) -> Result<(), MountError> {
        if !self.live.is_serving(&mount.id) {
            // It may be about to serve, with what was known when its child was started.
            drop(self.mount_locks.lock(mount.key()).await);
        }
        if !self.live.is_serving(&mount.id) {
            return Ok(());
        }
        let configure = Configure {
            mount_id: mount.id.clone(),
            dataset: mount.dataset.clone(),
            network: Some(self.deps.state.network()),
            staging: self.limits_of(mount.handle()),
        };
        Ok(self
            .deps
            .mounters
            .configure(&mount.mounter, configure)
            .await?)
    }

    /// Brings new address rules to every mount.
    pub(super) fn spawn_tell_all(self: &Arc<Self>) {
        for mount in self.deps.state.mounts() {
            self.spawn_tell(mount);
        }
    }

    /// Tells one mount's child anew what it is to work with.
    pub(super) fn spawn_tell(self: &Arc<Self>, mount: MountRecord) {
        if !mount.is_fuse() {
            return;
        }
        let volumes = self.clone();
        tokio::spawn(async move {
            let _guard = volumes.dataset_locks.lock(mount.handle().to_owned()).await;
            let Some(mount) = volumes.deps.state.mount(&mount.id) else {
                return;
            };
            if let Err(error) = volumes.tell_child(&mount).await {
                tracing::warn!(mount = mount.id, %error, "a mount keeps its address rules");
            }
        });
    }
}
