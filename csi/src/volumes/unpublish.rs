//! A target freed, and what only it used.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::{UnpublishError, Volumes, blocking};
use crate::state::{MountKey, MountRecord, TargetRecord};
use crate::sys::SysError;
use crate::sys::bind::unbind;
use crate::sys::dir::Entry;

/// Detaching asks nobody; only a node in trouble needs longer.
const UNBIND_WITHIN: Duration = Duration::from_secs(20);

/// How long the kubelet waits for the end of a mount that nobody uses any more. It goes on without
/// it: the pod's directory is free already.
const RELEASE_WITHIN: Duration = Duration::from_secs(15);

impl Volumes {
    /// Frees a target, below the kubelet's directory; done already is well done.
    pub async fn unpublish(self: &Arc<Self>, target: String) -> Result<(), UnpublishError> {
        let volumes = self.clone();
        // In a task of its own, like publish.
        let work = tokio::spawn(async move { volumes.unpublish_in_turn(target).await });
        // It does not panic; if it did, the kubelet's next call would find out.
        work.await.unwrap_or(Err(UnpublishError::Busy))
    }

    async fn unpublish_in_turn(self: &Arc<Self>, target: String) -> Result<(), UnpublishError> {
        let guard = self
            .lock_target(&target)
            .await
            .ok_or(UnpublishError::Busy)?;
        let record = self.deps.state.target(&target);
        let (volumes, path, thread_guard) = (self.clone(), target.clone(), guard.clone());
        let freed = blocking("the unmount", UNBIND_WITHIN, move || {
            let _guard = thread_guard;
            volumes.free(&path)
        });
        freed.await??;
        self.deps.state.remove_target(&target)?;
        drop(guard);
        if let Some(record) = record {
            let release = self.spawn_release(&record);
            // Late or panicked: the release is not the kubelet's business.
            let _ = tokio::time::timeout(RELEASE_WITHIN, release).await;
        }
        Ok(())
    }

    fn free(&self, target: &str) -> Result<(), SysError> {
        let entry = match Entry::find(self.kubelet.as_fd(), Path::new(target)) {
            // The pod's directory has gone already.
            Err(SysError {
                errno: Errno::NOENT,
                ..
            }) => return Ok(()),
            entry => entry?,
        };
        let layers = unbind(&entry)?;
        tracing::debug!(target, layers, "unbound");
        entry.remove()
    }

    /// Removes what this target, which has gone, was the last user of.
    pub(super) fn spawn_release(
        self: &Arc<Self>,
        target: &TargetRecord,
    ) -> tokio::task::JoinHandle<()> {
        let (volumes, handle) = (self.clone(), target.volume_handle.clone());
        let key = self
            .deps
            .state
            .mount(&target.mount_id)
            .map(|mount| mount.key());
        tokio::spawn(async move {
            if let Some(key) = key {
                volumes.release(&key).await;
            }
            volumes.forget_if_unused(&handle);
        })
    }

    /// [`Self::release`] in a task of its own.
    pub(super) fn spawn_release_of(self: &Arc<Self>, key: MountKey) -> tokio::task::JoinHandle<()> {
        let volumes = self.clone();
        tokio::spawn(async move { volumes.release(&key).await })
    }

    /// Removes the mounts of a key that no target is a bind of.
    async fn release(self: &Arc<Self>, key: &MountKey) {
        // However long it takes: nobody else would do it.
        let guard = self.mount_locks.lock(key.clone()).await;
        let unused = |mount: &MountRecord| {
            mount.key() == *key
                && self.deps.state.targets_of(&mount.id).is_empty()
                && !self.live.is_reserved(&mount.id)
        };
        let mounts = self.deps.state.mounts().into_iter().filter(unused);
        // From here on no publish finds them, so the lock can be released before they have gone.
        let removals: Vec<_> = mounts.map(|mount| self.spawn_remove(mount)).collect();
        drop(guard);
        for removal in removals {
            // It does not panic; if it did, the next start would clear up.
            let _ = removal.await;
        }
    }
}
