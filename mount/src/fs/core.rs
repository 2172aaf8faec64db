//! The file system's state, which every operation works on.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fuser::{Errno, FileAttr, Notifier};

use super::body::{Body, Room, Staging};
use super::closes::Closes;
use super::cursor::OpenDirectory;
use super::handles::{Handles, OpenFile};
use super::locks::{KeyGuard, KeyedLocks};
use super::losses::Losses;
use super::name;
use super::names::{self, Names, ROOT};
use super::settings::Settings;
use super::source::Source;
use crate::node::Node as OnNode;
use crate::node::endings::Endings;

pub(crate) type Node = names::Node<Arc<Body>>;
pub(crate) type Entry = names::Entry<Arc<Body>>;

/// The root never goes away.
const ROOT_TTL: Duration = Duration::from_hours(1);

/// The state of one mount.
#[derive(Debug)]
pub(crate) struct Core {
    pub source: Source,
    settings: RwLock<Arc<Settings>>,
    names: Mutex<Names<Arc<Body>>>,
    pub files: Handles<OpenFile>,
    pub directories: Handles<OpenDirectory>,
    pub room: Room,
    pub closes: Closes,
    pub endings: Endings,
    pub losses: Losses,
    locks: Arc<KeyedLocks>,
    pub(super) notifier: OnceLock<Notifier>,
    /// The kernel is being told to drop names.
    pub(super) trimming: AtomicBool,
}

impl Core {
    pub(crate) fn new(source: Source, settings: Settings, node: &OnNode) -> Self {
        Self {
            source,
            settings: RwLock::new(Arc::new(settings)),
            names: Mutex::new(Names::new(Instant::now())),
            files: Handles::default(),
            directories: Handles::default(),
            room: Room {
                memory: node.memory.clone(),
                staging: Arc::new(Staging::new(node.staging.clone())),
            },
            endings: node.endings.clone(),
            closes: Closes::default(),
            losses: Losses::new(),
            locks: Arc::default(),
            notifier: OnceLock::new(),
            trimming: AtomicBool::new(false),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        let settings = self.settings.read();
        settings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        let mut slot = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Arc::new(settings);
    }

    pub(crate) fn names(&self) -> MutexGuard<'_, Names<Arc<Body>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else changes what the source has at these keys.
    pub(crate) async fn lock(&self, keys: Vec<String>) -> KeyGuard {
        self.locks.lock(keys).await
    }

    /// `EROFS` on a read-only mount.
    pub(crate) fn check_writable(&self) -> Result<(), Errno> {
        if self.settings().readonly {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    /// The prefix of a directory, `ESTALE` if it was removed.
    pub(crate) fn prefix(&self, directory: u64) -> Result<String, Errno> {
        self.names().prefix(directory).ok_or(Errno::ESTALE)
    }

    /// The key of a name. `ENAMETOOLONG` if it is longer than keys can be.
    pub(crate) fn child_key(&self, parent: u64, name: &str) -> Result<String, Errno> {
        let key = name::child_key(&self.prefix(parent)?, name);
        if key.len() > self.settings().key_bytes_max {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok(key)
    }

    /// What `stat` shows of an entry, and for how long that counts.
    pub(crate) fn attr(&self, entry: &Entry) -> (FileAttr, Duration) {
        let settings = self.settings();
        let mut attr = match &entry.node {
            Node::Directory => settings.directory_attr(entry.ino),
            Node::File(version) => settings.file_attr(entry.ino, version.size, version.modified),
            Node::Written(body) => settings.file_attr(entry.ino, body.size(), body.modified()),
        };
        let ttl = match &entry.node {
            _ if entry.ino == ROOT => ROOT_TTL,
            _ if !self.lasts(entry) => Duration::ZERO,
            _ => settings.ttl(entry.checked),
        };
        if let Some(maker) = entry.maker.filter(|_| settings.shows_makers) {
            attr.uid = maker;
        }
        (attr, ttl)
    }

    /// Whether the kernel may keep what it is told of an entry: not where its name may stand for
    /// something else at any time, and asking us costs next to nothing.
    fn lasts(&self, entry: &Entry) -> bool {
        let names = self.names();
        names.is_fresh(entry.checked, None) && !names.is_unsettled(entry.ino)
    }

    /// Notes who made what an entry stands for.
    pub(crate) fn made_by(&self, entry: Entry, user: u32) -> Entry {
        self.names().made_by(entry.ino, user);
        Entry {
            maker: Some(user),
            ..entry
        }
    }

    /// What the table has of an inode the kernel names.
    pub(crate) fn entry(&self, ino: u64) -> Result<Entry, Errno> {
        self.names().get(ino).ok_or(Errno::ESTALE)
    }
}
