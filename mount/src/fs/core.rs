//! The file system's state, which every operation works on, and looking names up.

use std::ffi::OsStr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fuser::{Errno, FileAttr, Notifier};
use tokio::sync::Semaphore;

use super::directory::OpenDirectory;
use super::draft::{DRAFT_BYTES_MAX, Draft};
use super::file::OpenFile;
use super::handles::Handles;
use super::inode::{self, Inodes, ROOT};
use super::listing::Listings;
use super::name;
use super::reader::READAHEAD_BYTES_MAX;
use super::settings::Settings;
use super::source::Source;

pub(crate) type Node = inode::Node<Arc<Draft>>;
pub(crate) type Entry = inode::Entry<Arc<Draft>>;

/// The root never goes away.
const ROOT_TTL: Duration = Duration::from_hours(1);

/// The state of one mount.
#[derive(Debug)]
pub(crate) struct Core {
    pub source: Source,
    settings: RwLock<Arc<Settings>>,
    inodes: Mutex<Inodes<Arc<Draft>>>,
    listings: Mutex<Listings>,
    pub files: Handles<OpenFile>,
    pub directories: Handles<OpenDirectory>,
    pub readahead: Arc<Semaphore>,
    pub draft_memory: Arc<Semaphore>,
    pub(super) notifier: OnceLock<Notifier>,
    /// The kernel is being told to drop names.
    pub(super) trimming: AtomicBool,
}

/// The answer to a look-up.
#[derive(Debug)]
pub(crate) enum Looked {
    Found(Entry),
    /// Nothing there, which counts for so long.
    Absent(Duration),
}

impl Core {
    pub(crate) fn new(source: Source, settings: Settings) -> Self {
        Self {
            source,
            settings: RwLock::new(Arc::new(settings)),
            inodes: Mutex::new(Inodes::new(Instant::now())),
            listings: Mutex::default(),
            files: Handles::default(),
            directories: Handles::default(),
            readahead: Arc::new(Semaphore::new(READAHEAD_BYTES_MAX)),
            draft_memory: Arc::new(Semaphore::new(DRAFT_BYTES_MAX)),
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

    pub(crate) fn inodes(&self) -> MutexGuard<'_, Inodes<Arc<Draft>>> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn listings(&self) -> MutexGuard<'_, Listings> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.inodes().prefix(directory).ok_or(Errno::ESTALE)
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
        let ttl = settings.ttl(entry.checked);
        let (mut attr, ttl) = match &entry.node {
            _ if entry.ino == ROOT => (settings.directory_attr(ROOT), ROOT_TTL),
            Node::Directory => (settings.directory_attr(entry.ino), ttl),
            Node::File(version) => {
                let attr = settings.file_attr(entry.ino, version.size, version.modified);
                (attr, ttl)
            }
            // Only we change it, through the kernel.
            Node::Draft(draft) => {
                let attr = settings.file_attr(entry.ino, draft.size(), draft.modified());
                (attr, settings.ttl(Instant::now()))
            }
        };
        if let Some(maker) = entry.maker.filter(|_| settings.shows_makers) {
            attr.uid = maker;
        }
        (attr, ttl)
    }

    /// Notes who made what an entry stands for.
    pub(crate) fn made_by(&self, entry: Entry, user: u32) -> Entry {
        self.inodes().made_by(entry.ino, user);
        Entry {
            maker: Some(user),
            ..entry
        }
    }

    /// What the table has of an inode the kernel names.
    pub(crate) fn entry(&self, ino: u64) -> Result<Entry, Errno> {
        self.inodes().get(ino).ok_or(Errno::ESTALE)
    }

    /// Finds what a name stands for; the kernel then refers to it until it forgets.
    pub(crate) async fn lookup(&self, parent: u64, name: &OsStr) -> Result<Looked, Errno> {
        let name = match name::component(name) {
            Ok(name) => name,
            // No key has such a name, so nothing of that name exists.
            Err(Errno::EILSEQ) => return Ok(Looked::Absent(Duration::ZERO)),
            Err(errno) => return Err(errno),
        };
        if let Some(known) = self.lookup_known(parent, name) {
            return Ok(known);
        }
        let key = self.child_key(parent, name)?;
        let asked = Instant::now();
        let found = self.ask(&key).await?;
        let child = self.inodes().child(parent, name);
        match (found, child) {
            (Some(node), _) => {
                let entry = self.inodes().enter(parent, name, node, asked);
                Ok(Looked::Found(entry))
            }
            (None, Some(entry)) if matches!(entry.node, Node::Draft(_)) => {
                Ok(Looked::Found(self.enter_again(parent, name, entry)))
            }
            (None, _) => Ok(Looked::Absent(self.settings().ttl(asked))),
        }
    }

    /// The answer, if no request is needed for it.
    fn lookup_known(&self, parent: u64, name: &str) -> Option<Looked> {
        let settings = self.settings();
        let child = self.inodes().child(parent, name);
        if let Some(entry) = child {
            let draft = matches!(entry.node, Node::Draft(_));
            if draft || !settings.ttl(entry.checked).is_zero() {
                return Some(Looked::Found(self.enter_again(parent, name, entry)));
            }
        }
        let listing = self.listings().get(parent, settings.revalidate)?;
        Some(match listing.get(name) {
            Some(listed) => {
                let node = listed.version.clone().map_or(Node::Directory, Node::File);
                Looked::Found(self.inodes().enter(parent, name, node, listing.taken))
            }
            None => Looked::Absent(settings.ttl(listing.taken)),
        })
    }

    fn enter_again(&self, parent: u64, name: &str, entry: Entry) -> Entry {
        self.inodes().enter(parent, name, entry.node, entry.checked)
    }

    /// Asks the source what is at a key. A directory hides an object of the same name: what is in
    /// it could not be reached otherwise.
    pub(crate) async fn ask(&self, key: &str) -> Result<Option<Node>, Errno> {
        let prefix = format!("{key}/");
        let (object, directory) =
            tokio::join!(self.source.head(key), self.source.any_below(&prefix));
        if directory? {
            return Ok(Some(Node::Directory));
        }
        Ok(object?.map(Node::File))
    }
}
