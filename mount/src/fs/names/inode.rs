//! An inode: one version of a name, and who refers to it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Body, Node, Version};
use crate::fs::key::Root;

/// How long an open is awaited: the kernel repeats it at once.
const AWAITED_FOR: Duration = Duration::from_secs(1);

/// Threads that are about to repeat an open, and until when that is believed.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    threads: Vec<u32>,
    until: Instant,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Inode<B> {
    /// Itself for the directory that is mounted.
    pub(super) parent: u64,
    pub(super) name: Arc<str>,
    pub(super) node: Node<B>,
    /// A directory that shows a place of the source, whatever it lies in.
    pub(super) root: Option<Arc<Root>>,
    /// What the kernel has been told and has not forgotten (`nlookup` in the protocol).
    pub(super) lookups: u64,
    /// Children in the table, open handles and the promise to keep a directory, or to have it in the tree
    /// as a root or what leads to one: they need the path.
    pub(super) pins: u64,
    pub(super) handles: u32,
    /// When the source was last seen to have this, or this mount made it so.
    pub(super) checked: Instant,
    /// Removed through this mount: there is nothing at the path, or something else.
    pub(super) removed: bool,
    /// More than one body was written through this inode: its cached pages belong to neither.
    pub(super) contested: bool,
    /// Opens with `O_TRUNC` that were told to look the name up again, and find this inode.
    pub(super) awaited: Option<Awaited>,
    /// A directory that stays until it is removed, though the source has nothing in it.
    pub(super) kept: bool,
    /// The user who made it through this mount.
    pub(super) maker: Option<u32>,
}

impl<B: Body> Inode<B> {
    /// Nobody has any use for what was written through it.
    pub(super) fn let_go(&mut self) {
        if let Node::Written(_) = &self.node {
            self.node = Node::File(Version {
                etag: Arc::from(""),
                size: 0,
                modified: SystemTime::UNIX_EPOCH,
            });
        }
    }

    /// Whether `body` is being written through it.
    pub(super) fn is_of(&self, body: &B) -> bool {
        matches!(&self.node, Node::Written(current) if current.is(body))
    }
}

impl<B> Inode<B> {
    /// Whether opens with `O_TRUNC` are still awaited.
    pub(super) fn awaits(&self, now: Instant) -> bool {
        let awaited = self.awaited.as_ref();
        awaited.is_some_and(|awaited| now < awaited.until)
    }

    /// Whether a file can be begun anew through it without a change for those who have it open: each
    /// of them knows that others are awaited, and has bytes of its own.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.handles == 0 || self.awaits(now)
    }

    /// A thread will repeat its open.
    pub(super) fn await_one(&mut self, thread: u32, now: Instant) {
        let awaited = self.awaited.take().filter(|awaited| now < awaited.until);
        let mut threads = awaited.map_or_else(Vec::new, |awaited| awaited.threads);
        threads.push(thread);
        self.awaited = Some(Awaited {
            threads,
            until: now + AWAITED_FOR,
        });
    }

    /// A thread has come that may have been awaited.
    pub(super) fn came(&mut self, thread: u32) {
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

    /// A directory that is mounted: the kernel never forgets it.
    pub(super) fn top(ino: u64, now: Instant) -> Self {
        Self {
            lookups: 1,
            ..Self::new(ino, Arc::from(""), Node::Directory, now)
        }
    }

    pub(super) fn new(parent: u64, name: Arc<str>, node: Node<B>, now: Instant) -> Self {
        Self {
            parent,
            name,
            node,
            root: None,
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
