//! Keeps the table of inodes bounded: the kernel alone would keep names until the node runs out of
//! memory.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fuser::{INodeNo, Notifier};

use super::core::Core;

/// Inodes of one mount, at about 400 bytes each: 80 MB. A walk over a million files forgets the
/// first while it goes on.
const INODES_MAX: usize = 200_000;

/// Names the kernel is told to drop at once: few enough to be done before as many come again.
const BATCH: usize = 20_000;

impl Core {
    /// Where the kernel is told to drop names; set once, when the session has begun.
    pub(crate) fn set_notifier(&self, notifier: Notifier) {
        if self.notifier.set(notifier).is_err() {
            tracing::warn!("a file system can be served once");
        }
    }

    /// Tells the kernel to forget names if the table is full. It then does, by FORGET.
    pub(crate) fn trim(self: &Arc<Self>) {
        if self.inodes().len() <= INODES_MAX || self.trimming.swap(true, Ordering::AcqRel) {
            return;
        }
        let core = self.clone();
        // The kernel takes the directory's lock, which a request that waits for us may hold.
        tokio::task::spawn_blocking(move || {
            core.drop_names();
            core.trimming.store(false, Ordering::Release);
        });
    }

    fn drop_names(&self) {
        let Some(notifier) = self.notifier.get() else {
            return;
        };
        let unused = self.inodes().unused(BATCH);
        let dropped = unused.len();
        for (parent, name) in unused {
            if let Err(error) = notifier.inval_entry(INodeNo(parent), OsStr::new(&*name)) {
                tracing::debug!(%error, "the kernel keeps a name");
            }
        }
        tracing::debug!(dropped, left = self.inodes().len(), "names dropped");
    }
}
