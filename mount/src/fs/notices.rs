//! What the kernel is told without having asked: to drop names, and pages that are not right.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};
use tokio::task::JoinHandle;

use super::core::Core;
use super::roots::Roots;

/// How long a new consumer, or a new configuration, waits until the kernel has dropped names: it takes
/// microseconds for each, but not while a request that has the directory's lock waits for the source.
const REFRESHED_WITHIN: Duration = Duration::from_secs(2);

/// How long a rename waits until the kernel has dropped names below a directory. Some kernels hold a
/// directory that moves until we have answered (Linux 6.5, in `vfs_rename`), and would never.
const MOVED_WITHIN: Duration = Duration::from_millis(200);

impl Core {
    /// Where the kernel is told to drop names; set once, when the session has begun.
    pub(crate) fn set_notifier(&self, notifier: Notifier) {
        if self.notifier.set(notifier).is_err() {
            tracing::warn!("a file system can be served once");
        }
    }

    /// Tells the kernel to forget names if the table is full. It then does, by FORGET.
    pub(crate) fn trim(self: &Arc<Self>) {
        if !self.names().is_full() || self.trimming.swap(true, Ordering::AcqRel) {
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
        if let Some(notifier) = self.notifier.get() {
            let names = self.names().droppable();
            drop_from_kernel(notifier, &self.numbered(names));
        }
    }

    /// The same names, with the directories' numbers as the kernel knows them.
    fn numbered(&self, mut names: Vec<(u64, Arc<str>)>) -> Vec<(u64, Arc<str>)> {
        for (directory, _) in &mut names {
            *directory = self.number(*directory);
        }
        names
    }

    /// A new consumer has come: nothing that the source said before counts any more, neither here nor
    /// in the kernel. Returns when the kernel knows, or after [`REFRESHED_WITHIN`].
    pub(crate) async fn refresh(&self) {
        let revalidate = self.settings().revalidate;
        let names = self.names().refreshed(Instant::now(), revalidate);
        self.drop_soon(names).await;
    }

    /// The mount has other roots from now on. Returns when the kernel knows, or after
    /// [`REFRESHED_WITHIN`].
    pub(crate) async fn show(&self, roots: &Roots) {
        let names = self.set_roots(roots);
        if !names.is_empty() {
            self.drop_soon(names).await;
        }
    }

    async fn drop_soon(&self, names: Vec<(u64, Arc<str>)>) {
        let Some(notifier) = self.notifier.get().cloned() else {
            return;
        };
        let names = self.numbered(names);
        let dropping = tokio::task::spawn_blocking(move || drop_from_kernel(&notifier, &names));
        if tokio::time::timeout(REFRESHED_WITHIN, dropping)
            .await
            .is_err()
        {
            tracing::info!("the kernel takes its time to drop names");
        }
    }

    /// A directory was moved: what the source has below it shows from now on. Returns when the kernel
    /// knows, or after [`MOVED_WITHIN`].
    pub(crate) async fn show_all_below(&self, directory: u64) {
        let names = self.names().moved_with_all_below(directory);
        let Some(notifier) = self.notifier.get().cloned() else {
            return;
        };
        if names.is_empty() {
            return;
        }
        let names = self.numbered(names);
        let dropping = tokio::task::spawn_blocking(move || drop_from_kernel(&notifier, &names));
        // Late is no failure: it goes on by itself.
        let _ = tokio::time::timeout(MOVED_WITHIN, dropping).await;
    }

    /// The name of an inode stands for something else: the kernel asks again for it.
    pub(crate) fn forget_name(&self, ino: u64) {
        // It goes on by itself.
        drop(self.tell_to_forget(ino));
    }

    /// The same, and when this is over the kernel has forgotten it. Whoever waits must hold nothing
    /// that a request for a name may wait for: the kernel may hold the directory for that.
    pub(crate) async fn name_forgotten(&self, ino: u64) {
        if let Some(notified) = self.tell_to_forget(ino) {
            // It ends early only with the runtime.
            let _ = notified.await;
        }
    }

    fn tell_to_forget(&self, ino: u64) -> Option<JoinHandle<()>> {
        let (parent, name) = self.names().place(ino)?;
        let parent = self.number(parent);
        let notifier = self.notifier.get().cloned()?;
        Some(tokio::task::spawn_blocking(move || {
            // One that the kernel does not have is no failure.
            let _ = notifier.inval_entry(INodeNo(parent), OsStr::new(&*name));
        }))
    }

    /// The bytes of an inode are not where the kernel put them in its cache.
    pub(crate) fn forget_pages(&self, ino: u64) {
        let Some(notifier) = self.notifier.get().cloned() else {
            return;
        };
        tokio::task::spawn_blocking(move || {
            let _ = notifier.inval_inode(INodeNo(ino), 0, 0);
        });
    }
}

fn drop_from_kernel(notifier: &Notifier, names: &[(u64, Arc<str>)]) {
    for (parent, name) in names {
        if let Err(error) = notifier.inval_entry(INodeNo(*parent), OsStr::new(&**name)) {
            tracing::debug!(%error, "the kernel keeps a name");
        }
    }
    tracing::debug!(dropped = names.len(), "names dropped");
}
