//! The node's disk under the mounts: each dataset's directory, from its first mount to its last.
//!
//! A disk that is full or broken never keeps a dataset from being read: a mount without a place on it
//! is one all the same.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dlf_wire::mounter::v1::Staging;
use tokio::task::JoinHandle;

use super::{Volumes, blocking};
use crate::directories::DirectoryError;

/// Making a directory or removing a few files takes milliseconds; only a disk in trouble needs longer.
const DISK_WITHIN: Duration = Duration::from_secs(10);

impl Volumes {
    /// The uid and the directory that children of this dataset get; the mount's record has to be
    /// written before. None where they cannot be had: the mounter has others.
    pub(super) async fn place_of(&self, handle: &str) -> Option<(u32, Staging)> {
        let (directories, name) = (self.deps.directories.clone(), handle.to_owned());
        let made = blocking("the dataset's directory", DISK_WITHIN, move || {
            let uid = directories.ensure(&name)?;
            Ok::<_, DirectoryError>(uid.zip(directories.staging(&name)?))
        });
        match made.await {
            Ok(Ok(place)) => place,
            Ok(Err(error)) => {
                tracing::warn!(handle, %error, "a mount has no directory of its dataset's");
                None
            }
            Err(slow) => {
                tracing::warn!(handle, error = %slow, "a mount has no directory of its dataset's");
                None
            }
        }
    }

    /// What a running child of this dataset may fill now; none if that cannot be told.
    pub(super) fn limits_of(&self, handle: &str) -> Option<Staging> {
        let limits = self.deps.directories.staging(handle);
        limits.unwrap_or_else(|error| {
            tracing::warn!(handle, %error, "the limits of a mount stay");
            None
        })
    }

    /// Clears what a mount left that has gone, its record included.
    pub(super) async fn leave_place(self: &Arc<Self>, handle: &str) {
        let (volumes, name) = (self.clone(), handle.to_owned());
        let cleared = blocking("clearing the dataset's directory", DISK_WITHIN, move || {
            let deps = &volumes.deps;
            deps.directories
                .leave(&name, &deps.state, SystemTime::now());
        });
        if let Err(error) = cleared.await {
            tracing::warn!(handle, %error, "a dataset's directory is cleared later");
        }
    }

    /// Looks at all datasets' directories, and tells those mounts whose limits have changed.
    pub(super) fn spawn_sweep(self: &Arc<Self>) -> JoinHandle<()> {
        let volumes = self.clone();
        tokio::task::spawn_blocking(move || {
            let deps = &volumes.deps;
            let changed = deps.directories.sweep(&deps.state, SystemTime::now());
            for mount in deps.state.mounts() {
                if changed.iter().any(|handle| handle == mount.handle()) {
                    volumes.spawn_tell(mount);
                }
            }
        })
    }
}
