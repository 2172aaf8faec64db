//! The datasets on this node: from a pod's question to a mount at its target, and back.
//!
//! Each target has a lock of its own, so that a source that hangs holds up nobody else; each mount
//! is made and removed under the lock of its [`MountKey`]. Whoever holds a key's lock never waits
//! for a target's.

mod apply;
mod bind;
mod disk;
mod error;
mod live;
mod mounts;
mod publish;
mod repair;
pub mod restore;
mod supervise;
mod unpublish;
mod usage;
mod writes;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dlf_wire::nodes::v1::{Held, MounterState};
use tokio::time::timeout;

pub use error::{PublishError, UnpublishError};
pub use publish::Publish;

use crate::directories::Directories;
use crate::keyed_locks::{KeyGuard, KeyedLocks};
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::mounters::Mounters;
use crate::operator::{Holdings, Operator};
use crate::state::{MountKey, State};
use crate::sys::SysError;
use crate::sys::dir::open_trusted;
use crate::sys::staging::Staging;
use live::LiveMounts;
use repair::Streaks;
use usage::Totals;

/// A lock that work in a thread of its own keeps even when its caller has given up.
type SharedGuard = Arc<KeyGuard>;

/// How long a call waits for an earlier one on the same target or mount. The kubelet gives up
/// after two minutes; an answer that says what is going on is better than none.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// What the volumes stand on.
#[derive(Debug)]
pub struct Dependencies {
    /// Where everything lies.
    pub layout: Layout,
    /// Where the node's allowed prefixes are mounted.
    pub host: PathBuf,
    /// What an earlier driver left.
    pub state: State,
    /// A private place for half-made binds.
    pub staging: Arc<Staging>,
    /// Datasets' own on the node's disk.
    pub directories: Arc<Directories>,
    /// The way to the operator.
    pub operator: Operator,
    /// The mounters of this node.
    pub mounters: Mounters,
    /// Counters.
    pub metrics: Metrics,
}

/// The datasets on this node.
#[derive(Debug)]
pub struct Volumes {
    deps: Dependencies,
    /// Every target is opened beneath this.
    kubelet: OwnedFd,
    live: LiveMounts,
    target_locks: KeyedLocks<String>,
    mount_locks: KeyedLocks<MountKey>,
    dataset_locks: KeyedLocks<String>,
    /// Publishes under way, by volume handle: while there is one, a dataset is not released.
    interest: Mutex<HashMap<String, usize>>,
    totals: Mutex<Totals>,
    streaks: Mutex<Streaks>,
}

impl Volumes {
    /// Volumes in the state of `deps`; call [`restore::restore`] before anything else.
    pub fn new(deps: Dependencies) -> Result<Arc<Self>, SysError> {
        let kubelet = open_trusted(deps.layout.kubelet())?;
        Ok(Arc::new(Self {
            deps,
            kubelet,
            live: LiveMounts::default(),
            target_locks: KeyedLocks::default(),
            mount_locks: KeyedLocks::default(),
            dataset_locks: KeyedLocks::default(),
            interest: Mutex::default(),
            totals: Mutex::new(Totals::new()),
            streaks: Mutex::default(),
        }))
    }

    async fn lock_target(&self, target: &str) -> Option<SharedGuard> {
        let guard = timeout(LOCK_TIMEOUT, self.target_locks.lock(target.to_owned())).await;
        guard.ok().map(Arc::new)
    }

    async fn lock_mount(&self, key: &MountKey) -> Option<SharedGuard> {
        let guard = timeout(LOCK_TIMEOUT, self.mount_locks.lock(key.clone())).await;
        guard.ok().map(Arc::new)
    }

    /// Keeps a dataset from being released while it is asked for.
    fn interest(&self, handle: &str) -> Interest<'_> {
        let mut interest = self.interest.lock().unwrap_or_else(PoisonError::into_inner);
        *interest.entry(handle.to_owned()).or_default() += 1;
        Interest {
            volumes: self,
            handle: handle.to_owned(),
        }
    }

    /// Forgets a dataset that nothing uses, and tells the operator.
    fn forget_if_unused(&self, handle: &str) {
        // Under the lock, so that no question for this dataset can overtake the message.
        let interest = self.interest.lock().unwrap_or_else(PoisonError::into_inner);
        if interest.contains_key(handle) {
            return;
        }
        if let Err(error) = self.drop_if_unused(handle) {
            tracing::warn!(handle, %error, "a dataset's record stays behind");
        }
    }

    fn mount_point(&self, id: &str) -> PathBuf {
        self.deps.layout.mounts().join(id)
    }
}

impl Holdings for Volumes {
    fn in_use(&self) -> Vec<Held> {
        self.deps.state.in_use()
    }

    fn mounters(&self) -> Vec<MounterState> {
        let mounts = self.deps.state.mounts();
        let state = |revision: String| {
            let of_this = mounts.iter().filter(|mount| mount.mounter == revision);
            MounterState {
                mounts: u32::try_from(of_this.count()).unwrap_or(u32::MAX),
                revision,
            }
        };
        self.deps
            .mounters
            .revisions()
            .into_iter()
            .map(state)
            .collect()
    }
}

struct Interest<'a> {
    volumes: &'a Volumes,
    handle: String,
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        let mut interest = self
            .volumes
            .interest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = interest.get_mut(&self.handle) {
            *count -= 1;
            if *count == 0 {
                interest.remove(&self.handle);
            }
        }
    }
}

/// A system call that did not return in time. It goes on in its thread.
#[derive(Debug, thiserror::Error)]
#[error("{what} takes more than {} s", within.as_secs())]
pub struct TooSlow {
    what: &'static str,
    within: Duration,
}

/// Runs work that a source can block, in a thread of its own, and waits for it for a while.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    within: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TooSlow> {
    match timeout(within, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => Ok(result),
        // The work panicked, or the runtime ends: it will not answer either.
        Ok(Err(_)) | Err(_) => Err(TooSlow { what, within }),
    }
}
