//! The table of names: what the kernel knows, what the source was seen to have, what is being
//! written. One table behind one lock, so that no two answers about a name can disagree.
//!
//! An inode is one *version* of a name: when the object behind a name is replaced elsewhere, the
//! name gets another inode. So the kernel's page cache, which belongs to an inode, never mixes the
//! bytes of two versions, and a file that is open keeps its own.
//!
//! The verbs are in three files: `news` takes in what the source said, and the newest news wins;
//! `changes` is what this mount does; `references` is what the kernel still refers to,
//! `refresh` what is no longer believed. `place` tells where an inode is.

mod changes;
mod directory;
mod news;
mod place;
mod references;
mod refresh;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::directory::Directories;
use self::references::Idle;
use self::refresh::Absent;

pub(crate) use self::directory::Listing;
pub(crate) use self::news::Observed;

/// The root directory's number (`FUSE_ROOT_ID` in fuse.h).
pub(crate) const ROOT: u64 = 1;

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub etag: Arc<str>,
    pub size: u64,
    pub modified: SystemTime,
}

/// An object that was copied, perhaps to another version of the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Renewed {
    pub ino: u64,
    pub from: Arc<str>,
    pub to: Arc<str>,
}

/// The bytes of a file that is being written, as far as the table cares.
pub(crate) trait Body: Clone {
    /// Whether both are the same body.
    fn is(&self, other: &Self) -> bool;
    /// Handles that can write to it.
    fn writers(&self) -> u32;
    /// One more handle can write to it.
    fn join(&self);
    /// A handle that could write to it was closed.
    fn leave(&self);
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node<B> {
    Directory,
    File(Version),
    /// A file that is being written.
    Written(B),
}

/// How long an open is awaited: the kernel repeats it at once.
const AWAITED_FOR: Duration = Duration::from_secs(1);

/// Threads that are about to repeat an open, and until when that is believed.
#[derive(Clone, Debug)]
struct Awaited {
    threads: Vec<u32>,
    until: Instant,
}

#[derive(Debug)]
struct Inode<B> {
    parent: u64,
    name: Arc<str>,
    node: Node<B>,
    /// What the kernel has been told and has not forgotten (`nlookup` in the protocol).
    lookups: u64,
    /// Children in the table, open handles and the promise to keep a directory: they need the path.
    pins: u64,
    handles: u32,
    /// When the source was last seen to have this, or this mount made it so.
    checked: Instant,
    /// Removed through this mount: there is nothing at the path, or something else.
    removed: bool,
    /// More than one body was written through this inode: its cached pages belong to neither.
    contested: bool,
    /// Opens with `O_TRUNC` that were told to look the name up again, and find this inode.
    awaited: Option<Awaited>,
    /// A directory that stays until it is removed, though the source has nothing in it.
    kept: bool,
    /// The user who made it through this mount.
    maker: Option<u32>,
}

/// What the table tells about an inode.
#[derive(Clone, Debug)]
pub(crate) struct Entry<B> {
    pub ino: u64,
    pub node: Node<B>,
    pub checked: Instant,
    pub maker: Option<u32>,
    /// Whether the name stands for this inode now.
    pub named: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Names<B> {
    table: HashMap<u64, Inode<B>>,
    /// The inode each name stands for now.
    current: HashMap<(u64, Arc<str>), u64>,
    /// Inodes through which something is being written: few.
    written: HashSet<u64>,
    /// Directories that are kept, oldest first.
    kept: VecDeque<u64>,
    directories: Directories,
    absent: Absent,
    /// When a new consumer came last.
    refreshed: Option<Instant>,
    idle: Idle,
    last: u64,
}

impl<B: Body> Names<B> {
    pub(crate) fn new(now: Instant) -> Self {
        let root = Inode {
            lookups: 1,
            pins: 1,
            ..Inode::new(ROOT, Arc::from(""), Node::Directory, now)
        };
        Self {
            table: HashMap::from([(ROOT, root)]),
            current: HashMap::new(),
            written: HashSet::new(),
            kept: VecDeque::new(),
            directories: Directories::default(),
            absent: Absent::default(),
            refreshed: None,
            idle: Idle::default(),
            last: ROOT,
        }
    }

    pub(crate) fn get(&self, ino: u64) -> Option<Entry<B>> {
        self.table.get(&ino).map(|inode| Entry {
            ino,
            node: inode.node.clone(),
            checked: inode.checked,
            maker: inode.maker,
            named: ino == ROOT || self.is_named(ino, inode),
        })
    }

    /// What `name` stands for now, if the table knows.
    pub(crate) fn child(&self, parent: u64, name: &str) -> Option<Entry<B>> {
        self.get(self.number(parent, name)?)
    }

    fn number(&self, parent: u64, name: &str) -> Option<u64> {
        self.current.get(&(parent, Arc::from(name))).copied()
    }

    fn is_named(&self, ino: u64, inode: &Inode<B>) -> bool {
        self.current.get(&(inode.parent, inode.name.clone())) == Some(&ino)
    }

    /// Makes an inode that the name stands for from now on.
    fn insert(&mut self, parent: u64, name: &str, node: Node<B>, now: Instant) -> u64 {
        self.last += 1;
        let ino = self.last;
        let name: Arc<str> = Arc::from(name);
        if let Some(parent) = self.table.get_mut(&parent) {
            parent.pins += 1;
        }
        self.idle.enqueue(ino, matches!(node, Node::Directory));
        self.absent.forget(parent, &name);
        self.current.insert((parent, name.clone()), ino);
        let written = matches!(node, Node::Written(_));
        self.table.insert(ino, Inode::new(parent, name, node, now));
        if written {
            self.written.insert(ino);
        }
        self.idle.tidy(&self.table);
        ino
    }

    fn set_node(&mut self, ino: u64, node: Node<B>) {
        let Some(inode) = self.table.get_mut(&ino) else {
            return;
        };
        if matches!(node, Node::Written(_)) {
            self.written.insert(ino);
        } else {
            self.written.remove(&ino);
        }
        inode.node = node;
    }
}

impl<B: Body> Inode<B> {
    /// Nobody has any use for what was written through it.
    fn let_go(&mut self) {
        if let Node::Written(_) = &self.node {
            self.node = Node::File(Version {
                etag: Arc::from(""),
                size: 0,
                modified: SystemTime::UNIX_EPOCH,
            });
        }
    }

    /// Whether `body` is being written through it.
    fn is_of(&self, body: &B) -> bool {
        matches!(&self.node, Node::Written(current) if current.is(body))
    }
}

impl<B> Inode<B> {
    /// Whether opens with `O_TRUNC` are still awaited.
    fn awaits(&self, now: Instant) -> bool {
        let awaited = self.awaited.as_ref();
        awaited.is_some_and(|awaited| now < awaited.until)
    }

    /// Whether a file can be begun anew through it without a change for those who have it open: each
    /// of them knows that others are awaited, and has bytes of its own.
    fn is_free(&self, now: Instant) -> bool {
        self.handles == 0 || self.awaits(now)
    }

    /// A thread will repeat its open.
    fn await_one(&mut self, thread: u32, now: Instant) {
        let awaited = self.awaited.take().filter(|awaited| now < awaited.until);
        let mut threads = awaited.map_or_else(Vec::new, |awaited| awaited.threads);
        threads.push(thread);
        self.awaited = Some(Awaited {
            threads,
            until: now + AWAITED_FOR,
        });
    }

    /// A thread has come that may have been awaited.
    fn came(&mut self, thread: u32) {
        if let Some(awaited) = &mut self.awaited {
            let at = awaited
                .threads
                .iter()
                .position(|awaited| *awaited == thread);
            at.map(|at| awaited.threads.swap_remove(at));
            if awaited.threads.is_empty() {
                self.awaited = None;
            }
        }
    }

    fn new(parent: u64, name: Arc<str>, node: Node<B>, now: Instant) -> Self {
        Self {
            parent,
            name,
            node,
            lookups: 0,
            pins: 0,
            handles: 0,
            checked: now,
            removed: false,
            contested: false,
            awaited: None,
            kept: false,
            maker: None,
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
