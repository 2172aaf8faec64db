//! The file system's state, which every operation works on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fuser::{Errno, FileAttr, Notifier};

use super::body::{Body, Room, Staging};
use super::closes::Closes;
use super::cursor::OpenDirectory;
use super::handles::{Handles, OpenFile};
use super::key::{Key, Root};
use super::locks::{KeyGuard, KeyedLocks};
use super::losses::Losses;
use super::name::KEY_BYTES_MAX;
use super::names::{self, Names, ROOT};
use super::roots::Roots;
use super::settings::Settings;
use super::source::Source;
use crate::node::Node as OnNode;
use crate::node::endings::Endings;

pub(crate) type Node = names::Node<Arc<Body>>;
pub(crate) type Entry = names::Entry<Arc<Body>>;

/// What is mounted never goes away.
const TOP_TTL: Duration = Duration::from_hours(1);

/// The state of one mount.
#[derive(Debug)]
pub(crate) struct Core {
    /// Of the origins' own place; see [`Self::source_of`].
    pub source: Source,
    settings: RwLock<Arc<Settings>>,
    names: Mutex<Names<Arc<Body>>>,
    /// As [`Names::top`].
    top: AtomicU64,
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
    pub(crate) fn new(source: Source, settings: Settings, roots: &Roots, node: &OnNode) -> Self {
        let now = Instant::now();
        let mut names = Names::new(now);
        // The kernel has asked for nothing yet.
        names.show(roots, now);
        Self {
            source,
            settings: RwLock::new(Arc::new(settings)),
            top: AtomicU64::new(names.top()),
            names: Mutex::new(names),
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
    pub(crate) async fn lock(&self, keys: Vec<Key>) -> KeyGuard {
        self.locks.lock(keys).await
    }

    /// `EROFS` on a read-only mount.
    pub(crate) fn check_writable(&self) -> Result<(), Errno> {
        if self.settings().readonly {
            return Err(Errno::EROFS);
        }
        Ok(())
    }

    /// Has the tree show `roots` and no others. Gives the names that the kernel has to ask for again.
    pub(super) fn set_roots(&self, roots: &Roots) -> Vec<(u64, Arc<str>)> {
        let mut names = self.names();
        let changed = names.show(roots, Instant::now());
        self.top.store(names.top(), Ordering::Release);
        changed
    }

    /// The inode of a number that the kernel uses.
    pub(crate) fn inode(&self, number: u64) -> u64 {
        match number {
            ROOT => self.top.load(Ordering::Acquire),
            other => other,
        }
    }

    /// The number that the kernel knows an inode by.
    pub(crate) fn number(&self, ino: u64) -> u64 {
        if ino == self.inode(ROOT) { ROOT } else { ino }
    }

    /// The source as the root of an inode sees it.
    pub(crate) fn source_of(&self, ino: u64) -> Source {
        match self.names().root(ino) {
            Some(root) => self.source.of(root),
            None => self.source.clone(),
        }
    }

    /// The key of a name, with a slash behind it if that is of a directory.
    ///
    /// `ENAMETOOLONG` if it is longer than keys can be, `ESTALE` if the directory was removed. In one that
    /// only leads to roots nothing can be changed: `EBUSY` for what is there, else `EROFS`.
    pub(crate) fn child_key(&self, parent: u64, name: &str) -> Result<Key, Errno> {
        let names = self.names();
        let Some(prefix) = names.prefix(parent) else {
            let is_there = || names.child(parent, name.trim_end_matches('/')).is_some();
            return Err(match names.leads(parent) {
                true if is_there() => Errno::EBUSY,
                true => Errno::EROFS,
                false => Errno::ESTALE,
            });
        };
        drop(names);
        let key = prefix.followed_by(name);
        if key.within().len() > self.key_bytes_max(key.root()) {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok(key)
    }

    /// What is left of S3's longest key in a root, in bytes.
    pub(crate) fn key_bytes_max(&self, root: &Root) -> usize {
        match root.location() {
            Some(_) => KEY_BYTES_MAX.saturating_sub(root.prefix().len()),
            None => self.settings().key_bytes_max,
        }
    }

    /// What `stat` shows of an entry, and for how long that counts.
    pub(crate) fn attr(&self, entry: &Entry) -> (FileAttr, Duration) {
        let settings = self.settings();
        let mut attr = match &entry.node {
            Node::Directory => settings.directory_attr(self.number(entry.ino)),
            Node::File(version) => settings.file_attr(entry.ino, version.size, version.modified),
            Node::Written(body) => settings.file_attr(entry.ino, body.size(), body.modified()),
        };
        let ttl = match &entry.node {
            _ if attr.ino.0 == ROOT => TOP_TTL,
            _ if !self.names().lasts(entry) => Duration::ZERO,
            _ => settings.ttl(entry.checked),
        };
        if let Some(maker) = entry.maker.filter(|_| settings.shows_makers) {
            attr.uid = maker;
        }
        (attr, ttl)
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
