//! The table of names: what the kernel knows, what the source was seen to have, what is being
//! written. One table behind one lock, so that no two answers about a name can disagree.
//!
//! An inode is one *version* of a name: when the object behind a name is replaced elsewhere, the
//! name gets another inode. So the kernel's page cache, which belongs to an inode, never mixes the
//! bytes of two versions, and a file that is open keeps its own.
//!
//! The verbs are in three files: `news` takes in what the source said, and the newest news wins;
//! `changes` is what this mount does; `references` is what the kernel still refers to,
//! `refresh` what is no longer believed. `place` tells where an inode is, `roots` which directories the
//! mount's configuration puts there.

mod changes;
mod directory;
mod inode;
mod news;
mod place;
mod references;
mod refresh;
mod roots;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use self::directory::Directories;
use self::inode::Inode;
use self::references::Idle;
use self::refresh::Absent;
use self::roots::Attached;
use super::key::Root;

pub(crate) use self::directory::Listing;
pub(crate) use self::news::Observed;

/// The number of the directory that is mounted, to the kernel (`FUSE_ROOT_ID` in fuse.h), and here until
/// [`Names::top`] is another.
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
    /// The directory that is mounted.
    top: u64,
    attached: Attached,
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
    /// A table of one root, which is all of the tree; see [`Names::show`] for others.
    pub(crate) fn new(now: Instant) -> Self {
        let top = Inode {
            root: Some(Root::new("", None)),
            pins: 1,
            ..Inode::top(ROOT, now)
        };
        let mut idle = Idle::default();
        idle.enqueue(ROOT, true);
        Self {
            table: HashMap::from([(ROOT, top)]),
            top: ROOT,
            attached: Attached::at_top(ROOT),
            current: HashMap::new(),
            written: HashSet::new(),
            kept: VecDeque::new(),
            directories: Directories::default(),
            absent: Absent::default(),
            refreshed: None,
            idle,
            last: ROOT,
        }
    }

    pub(crate) fn get(&self, ino: u64) -> Option<Entry<B>> {
        self.table.get(&ino).map(|inode| Entry {
            ino,
            node: inode.node.clone(),
            checked: inode.checked,
            maker: inode.maker,
            named: inode.parent == ino || self.is_named(ino, inode),
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

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
