//! The file system `native`: a bucket, or a prefix of it, as files.
//!
//! The kernel's requests come in on a few threads (`fuser`), which hand each to a task and go on;
//! the task answers when the source has. What every operation means is in `docs/semantics.md`.
//!
//! - `names`: what names stand for; one table, one lock
//! - `roots`, `key`: which directories show which places of the source, and where an object is
//! - `listing`, `cursor`: from pages of keys to directory entries
//! - `body`: a file that is being written, and its way to the source
//! - `locks`, `closes`: in which order the source is changed
//! - `losses`: what was written and the source does not have
//! - `lookup`, `open`, `write`, `directory`, `change`, `rename`: the operations on `core`, the state
//! - `moves`: what the source does for a rename
//! - `requests`, `notices`: what the kernel asks, and what it is told unasked

mod body;
mod change;
mod closes;
mod core;
mod cursor;
mod directory;
mod handles;
mod key;
mod listing;
mod locks;
mod lookup;
mod losses;
mod moves;
mod name;
mod names;
mod notices;
mod open;
mod rename;
mod requests;
mod roots;
mod settings;
mod source;
mod write;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use dlf_cache::{ObjectStore, UsageSnapshot};
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume};
use dlf_wire::writes::v1::Writes;
use fuser::{Config, Session, SessionACL};
use tokio::sync::watch;

use self::core::Core;
pub(crate) use self::name::{KEY_BYTES_MAX, presentable};
use self::requests::Requests;
pub(crate) use self::roots::Roots;
use self::settings::Settings;
pub(crate) use self::settings::source_timeout;
use self::source::Source;
use crate::node::Node;

/// Threads that take requests from the kernel. They only copy a write's data and start tasks.
const THREADS: usize = 2;

/// One mounted file system.
#[derive(Clone, Debug)]
pub struct NativeFs {
    core: Arc<Core>,
}

impl NativeFs {
    /// A file system over `store` with the dataset's options, which shows `roots`.
    pub(crate) fn new(
        store: ObjectStore,
        dataset: &DatasetConfig,
        volume: &FuseVolume,
        roots: &Roots,
        fs_group: Option<u32>,
        node: &Node,
    ) -> Self {
        let settings = Settings::new(dataset, volume, fs_group);
        Self {
            core: Arc::new(Core::new(Source::new(store), settings, roots, node)),
        }
    }

    /// Answers the kernel on `device`, a mounted `/dev/fuse` before its `INIT`. Returns when the
    /// session has begun; [`Serving::ended`] tells when it is over.
    ///
    /// Blocks for as long as the kernel takes to send `INIT`: call it where that is allowed, inside
    /// a tokio runtime.
    pub fn serve(&self, device: OwnedFd) -> io::Result<Serving> {
        let mut config = Config::default();
        config.acl = SessionACL::All;
        config.n_threads = Some(THREADS);
        // A queue per thread needs the device node, which a mounter's pod does not have.
        config.clone_fd = std::fs::File::open("/dev/fuse").is_ok();
        let requests = Requests::new(self.core.clone(), tokio::runtime::Handle::current());
        let session = Session::from_fd(requests, device, SessionACL::All, config)?;
        self.core.set_notifier(session.notifier());
        let (over, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("fuse-session".to_owned())
            .spawn(move || {
                // The receiver may have gone: then nobody wants to know.
                let _ = over.send(session.run());
            })?;
        Ok(Serving { ended })
    }

    /// Takes new options and roots over; options that the kernel has cached stay as they were.
    pub(crate) async fn update(&self, dataset: &DatasetConfig, volume: &FuseVolume, roots: &Roots) {
        let updated = self.core.settings().updated(dataset, volume);
        self.core.set_settings(updated);
        self.core.show(roots).await;
        self.core.losses.reconfigured();
    }

    /// A new consumer has come, and is to see the source as it is now.
    pub async fn refresh(&self) {
        self.core.refresh().await;
    }

    /// What this mount has read and written so far.
    #[must_use]
    pub fn usage(&self) -> UsageSnapshot {
        self.core.source.usage()
    }

    /// What was written and the source does not have, as it changes.
    pub(crate) fn writes(&self) -> watch::Receiver<Writes> {
        self.core.losses.subscribe()
    }

    /// Waits until files that were closed are in the source, no longer than the source's time-out,
    /// and gives up what is still being written: it never appears.
    pub async fn shut_down(&self) {
        let timeout = self.core.settings().source_timeout;
        let finished = tokio::time::timeout(timeout, self.core.finish_all()).await;
        if finished.is_err() {
            tracing::warn!("files were still being written to the source at the end");
        }
    }
}

/// A session that answers the kernel.
#[derive(Debug)]
pub struct Serving {
    ended: tokio::sync::oneshot::Receiver<io::Result<()>>,
}

impl Serving {
    /// Waits for the end: the file system was unmounted, or the device failed.
    ///
    /// Cancelling loses nothing; once it has returned it must not be called again.
    pub async fn ended(&mut self) -> io::Result<()> {
        (&mut self.ended)
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the session's thread has gone")))
    }
}

/// How much longer than the source's time-out one operation may take in all: it may be several
/// requests to the source, each with a time-out of its own.
const OPERATION_SLACK: Duration = Duration::from_secs(5);
