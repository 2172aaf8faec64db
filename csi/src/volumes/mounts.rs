//! Mounts below `mounts/`: made for the first pod that needs one, removed after the last.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::dataset::v1::{DatasetConfig, NfsVolume};
use dlf_wire::mounter::v1::Start;
use rustix::io::Errno;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::MountError;
use super::{SharedGuard, TooSlow, Volumes, blocking};
use crate::network::address_rules;
use crate::nfs;
use crate::state::{MountKey, MountRecord};
use crate::sys::bind::unmount_all;
use crate::sys::{SysError, fuse, read_ahead};

/// On a node that has just started, the mounter may still be pulling its image.
const MOUNTER_WITHIN: Duration = Duration::from_secs(20);

/// A FUSE mount asks nobody; only a node in trouble needs longer.
const FUSE_WITHIN: Duration = Duration::from_secs(10);

/// What is left of the kubelet's two minutes after the other steps' deadlines.
const NFS_WITHIN: Duration = Duration::from_secs(45);

/// Digits of the source revision that stand in a mount's id, for people who read it.
const REVISION_DIGITS: usize = 8;

impl Volumes {
    /// The mount for this key. The caller holds the key's lock.
    pub(super) async fn ensure(
        self: &Arc<Self>,
        key: &MountKey,
        dataset: &DatasetConfig,
        guard: &SharedGuard,
    ) -> Result<MountRecord, MountError> {
        let mounts = self.deps.state.mounts();
        let usable = |mount: &MountRecord| mount.key() == *key && self.live.is_serving(&mount.id);
        match mounts.into_iter().find(usable) {
            Some(mount) => Ok(mount),
            None => self.make(key, dataset, guard).await,
        }
    }

    /// A new mount for this key. The caller holds the key's lock.
    async fn make(
        self: &Arc<Self>,
        key: &MountKey,
        dataset: &DatasetConfig,
        guard: &SharedGuard,
    ) -> Result<MountRecord, MountError> {
        let mut mount = MountRecord {
            id: mount_id(key),
            dataset: Some(dataset.clone()),
            fs_group: key.fs_group,
            mounter: String::new(),
        };
        if mount.is_fuse() {
            let wanted = self.deps.state.wanted();
            let deadline = Instant::now() + MOUNTER_WITHIN;
            mount.mounter = self.deps.mounters.choose(&wanted, deadline).await?;
        }
        // The record first: whatever a kill leaves of the rest is found by it.
        let mount = self.deps.state.put_mount(mount)?;
        self.live.making(&mount.id);
        let volume = mount.dataset.as_ref().and_then(|it| it.volume.as_ref());
        let made = match volume {
            Some(Volume::Nfs(volume)) => self.make_nfs(&mount, volume, guard).await,
            _ => self.make_fuse(&mount, guard).await,
        };
        if let Err(error) = made {
            self.spawn_remove(mount);
            return Err(error);
        }
        tracing::info!(mount = mount.id, mounter = mount.mounter, "mounted");
        Ok(mount)
    }

    async fn make_fuse(&self, mount: &MountRecord, guard: &SharedGuard) -> Result<(), MountError> {
        let point = self.mount_point(&mount.id);
        let (source, permissions) = (mount.handle().to_owned(), mount.permissions());
        let mounted = self.mounted(
            &point,
            guard,
            ("the FUSE mount", FUSE_WITHIN),
            move |point| fuse::mount(point, &source, permissions),
        );
        let device = mounted.await??;
        let (uid, staging) = self.place_of(mount.handle()).await.unzip();
        let start = Start {
            mount_id: mount.id.clone(),
            dataset: mount.dataset.clone(),
            fs_group: mount.fs_group,
            network: Some(self.deps.state.network()),
            uid,
            staging,
            ..Start::default()
        };
        self.deps
            .mounters
            .start(&mount.mounter, start, device.as_fd())
            .await?;
        if let Err(error) = read_ahead::widen(&point, &self.deps.staging) {
            // Slower, and right all the same.
            tracing::info!(mount = mount.id, %error, "the kernel's own read-ahead stays");
        }
        self.live.serving(&mount.id, device);
        Ok(())
    }

    async fn make_nfs(
        &self,
        mount: &MountRecord,
        volume: &NfsVolume,
        guard: &SharedGuard,
    ) -> Result<(), MountError> {
        let rules = address_rules(&self.deps.state.network())?;
        let (volume, staging) = (volume.clone(), self.deps.staging.clone());
        let point = self.mount_point(&mount.id);
        let mounted = self.mounted(&point, guard, ("the NFS mount", NFS_WITHIN), move |point| {
            match rustix::fs::mkdir(point, rustix::fs::Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(SysError::on("make", point)(errno).into()),
            }
            nfs::mount(&volume, point, &rules, &staging)
        });
        mounted.await??;
        self.live.found(&mount.id);
        Ok(())
    }

    /// Mounts something at `point` in a thread of its own, which keeps the lock. What comes about
    /// after whoever asked was told that it takes too long is taken away again.
    async fn mounted<T: Send + 'static>(
        &self,
        point: &Path,
        guard: &SharedGuard,
        (what, within): (&'static str, Duration),
        mount: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Result<T, TooSlow> {
        let (point, guard) = (point.to_owned(), guard.clone());
        let wanted = Arc::new(AtomicBool::new(true));
        let still_wanted = wanted.clone();
        let mounted = blocking(what, within, move || {
            let _guard = guard;
            let mounted = mount(&point);
            if !still_wanted.load(Ordering::Acquire) {
                discard(&point);
            }
            mounted
        });
        let mounted = mounted.await;
        wanted.store(mounted.is_ok(), Ordering::Release);
        mounted
    }

    /// Takes a mount away that no target is a bind of. Nobody has to wait for it: no other mount
    /// will ever have its name.
    pub(super) fn spawn_remove(self: &Arc<Self>, mount: MountRecord) -> JoinHandle<()> {
        let volumes = self.clone();
        let first = self.live.goes(&mount.id);
        tokio::spawn(async move {
            if first {
                volumes.remove_mount(&mount).await;
                volumes.forget_if_unused(mount.handle());
            }
        })
    }

    async fn remove_mount(self: &Arc<Self>, mount: &MountRecord) {
        // First, so that what is staged is written while the mount is whole.
        if mount.is_fuse() {
            match self.deps.mounters.stop(&mount.mounter, &mount.id).await {
                Ok(last) => {
                    last.usage.iter().for_each(|usage| self.count(usage));
                    let writes = last.writes.into_iter();
                    writes.for_each(|writes| self.wrote(&mount.id, writes));
                }
                Err(error) => {
                    tracing::debug!(mount = mount.id, %error, "its child was not stopped");
                }
            }
        }
        self.live.close_device(&mount.id);
        let point = self.mount_point(&mount.id);
        let removed = blocking("the unmount", FUSE_WITHIN, move || discard(&point));
        if let Err(error) = removed.await {
            tracing::warn!(mount = mount.id, %error, "a mount stays behind until the next start");
        }
        if let Err(error) = self.deps.state.remove_mount(&mount.id) {
            tracing::warn!(mount = mount.id, %error, "a mount's record stays behind");
        }
        self.live.remove(&mount.id);
        if mount.is_fuse() {
            self.leave_place(mount.handle()).await;
        }
        tracing::info!(mount = mount.id, "unmounted");
    }
}

/// Unmounts and removes a directory below `mounts/`, as far as that is possible.
pub(super) fn discard(point: &Path) {
    if let Err(error) = unmount_all(point) {
        tracing::warn!(%error, "a mount stays behind");
    }
    match rustix::fs::rmdir(point) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => tracing::warn!(point = %point.display(), %errno, "a directory stays behind"),
    }
}

/// A name that was never used before, even if the state was lost: a mounter may still have a child
/// of an older mount of the same key.
fn mount_id(key: &MountKey) -> String {
    let revision: String = key
        .source_revision
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(REVISION_DIGITS)
        .collect();
    let group = key.fs_group.map_or("-".into(), |group| group.to_string());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}.{revision}.{group}.{:x}", key.handle, now.as_nanos())
}
