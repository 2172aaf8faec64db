//! The table of inodes the kernel knows.
//!
//! An inode is one *version* of a name: when the object behind a name is replaced, the name gets
//! another inode. So the kernel's page cache, which belongs to an inode, can never mix the bytes of
//! two versions, and a file that is open keeps its own. The table is as large as the kernel's cache
//! of names: what it forgets goes.

mod path;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

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

/// What a name stands for. `D` is a file that is being written and has no version yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node<D> {
    Directory,
    File(Version),
    Draft(D),
}

#[derive(Debug)]
struct Inode<D> {
    parent: u64,
    name: Arc<str>,
    node: Node<D>,
    /// What the kernel has been told and has not forgotten (`nlookup` in the protocol).
    lookups: u64,
    /// Children in the table and open handles: they need the path.
    pins: u64,
    handles: u32,
    /// When the source was last seen to have this.
    checked: Instant,
    /// Removed through this mount: there is nothing at the path, or something else.
    removed: bool,
    /// The user who made it through this mount.
    maker: Option<u32>,
}

/// What the table tells about an inode.
#[derive(Clone, Debug)]
pub(crate) struct Entry<D> {
    pub ino: u64,
    pub node: Node<D>,
    pub checked: Instant,
    pub handles: u32,
    pub maker: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Inodes<D> {
    table: HashMap<u64, Inode<D>>,
    /// The inode each name stands for now.
    names: HashMap<(u64, Arc<str>), u64>,
    /// The few inodes that are drafts.
    drafts: HashSet<u64>,
    last: u64,
}

impl<D: Clone> Inodes<D> {
    pub(crate) fn new(now: Instant) -> Self {
        let root = Inode {
            parent: ROOT,
            name: Arc::from(""),
            node: Node::Directory,
            lookups: 1,
            pins: 1,
            handles: 0,
            checked: now,
            removed: false,
            maker: None,
        };
        Self {
            table: HashMap::from([(ROOT, root)]),
            names: HashMap::new(),
            drafts: HashSet::new(),
            last: ROOT,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Up to `count` files that only the kernel's cache refers to, whichever come first. No
    /// directories: dropping one takes away what is mounted over it.
    pub(crate) fn unused(&self, count: usize) -> Vec<(u64, Arc<str>)> {
        let unused = |inode: &&Inode<D>| inode.pins == 0 && matches!(inode.node, Node::File(_));
        let inodes = self.table.values().filter(unused);
        inodes
            .take(count)
            .map(|inode| (inode.parent, inode.name.clone()))
            .collect()
    }

    pub(crate) fn get(&self, ino: u64) -> Option<Entry<D>> {
        self.table.get(&ino).map(|inode| Entry {
            ino,
            node: inode.node.clone(),
            checked: inode.checked,
            handles: inode.handles,
            maker: inode.maker,
        })
    }

    /// What `name` stands for now, if the table knows.
    pub(crate) fn child(&self, parent: u64, name: &str) -> Option<Entry<D>> {
        self.get(*self.names.get(&(parent, Arc::from(name)))?)
    }

    /// Records that `name` stands for `found` as of `now`, and that the kernel learns it.
    ///
    /// A draft stays, whatever the source has: it will replace that.
    pub(crate) fn enter(
        &mut self,
        parent: u64,
        name: &str,
        found: Node<D>,
        now: Instant,
    ) -> Entry<D> {
        let key = (parent, Arc::from(name));
        let known = self.names.get(&key).copied();
        if let Some(ino) = known
            && let Some(inode) = self.table.get_mut(&ino)
        {
            let same = match (&inode.node, &found) {
                (Node::Directory, Node::Directory)
                | (Node::Draft(_), Node::File(_) | Node::Draft(_)) => true,
                (Node::File(old), Node::File(new)) => old.etag == new.etag && old.size == new.size,
                _ => false,
            };
            if same {
                inode.lookups += 1;
                inode.checked = now;
                return Entry {
                    ino,
                    node: inode.node.clone(),
                    checked: now,
                    handles: inode.handles,
                    maker: inode.maker,
                };
            }
        }
        self.insert(key, found, now)
    }

    fn insert(&mut self, key: (u64, Arc<str>), node: Node<D>, now: Instant) -> Entry<D> {
        self.last += 1;
        let ino = self.last;
        let (parent, name) = key.clone();
        self.names.insert(key, ino);
        if let Some(parent) = self.table.get_mut(&parent) {
            parent.pins += 1;
        }
        let inode = Inode {
            parent,
            name,
            node: node.clone(),
            lookups: 1,
            pins: 0,
            handles: 0,
            checked: now,
            removed: false,
            maker: None,
        };
        self.table.insert(ino, inode);
        self.note_draft(ino, &node);
        Entry {
            ino,
            node,
            checked: now,
            handles: 0,
            maker: None,
        }
    }

    /// Notes who made what the inode stands for.
    pub(crate) fn made_by(&mut self, ino: u64, user: u32) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.maker = Some(user);
        }
    }

    /// Replaces what an inode is, for the beginning and the end of a draft.
    pub(crate) fn set_node(&mut self, ino: u64, node: Node<D>, now: Instant) {
        if self.table.contains_key(&ino) {
            self.note_draft(ino, &node);
        }
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.node = node;
            inode.checked = now;
        }
    }

    /// Whoever has one of these open, or looked up, goes on with the copy.
    pub(crate) fn renew(&mut self, copies: Vec<Renewed>) {
        for copy in copies {
            if let Some(inode) = self.table.get_mut(&copy.ino)
                && let Node::File(version) = &mut inode.node
                && version.etag == copy.from
            {
                version.etag = copy.to;
            }
        }
    }

    fn note_draft(&mut self, ino: u64, node: &Node<D>) {
        if matches!(node, Node::Draft(_)) {
            self.drafts.insert(ino);
        } else {
            self.drafts.remove(&ino);
        }
    }

    /// The source was seen to still have this version.
    pub(crate) fn confirm(&mut self, ino: u64, now: Instant) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.checked = now;
        }
    }

    /// The name stands for something else from now on, which the next look-up will find.
    /// The inode keeps its path, for those who have it open.
    pub(crate) fn detach(&mut self, ino: u64) {
        if let Some(inode) = self.table.get(&ino) {
            let key = (inode.parent, inode.name.clone());
            if self.names.get(&key) == Some(&ino) {
                self.names.remove(&key);
            }
        }
    }

    /// The name was removed through this mount.
    pub(crate) fn remove(&mut self, parent: u64, name: &str) {
        if let Some(ino) = self.names.remove(&(parent, Arc::from(name)))
            && let Some(inode) = self.table.get_mut(&ino)
        {
            inode.removed = true;
        }
    }

    /// Moves a name, and with it whatever is below. What was at the new name is removed.
    pub(crate) fn rename(&mut self, from: (u64, &str), to: (u64, &str)) {
        self.remove(to.0, to.1);
        let Some(ino) = self.names.remove(&(from.0, Arc::from(from.1))) else {
            return;
        };
        let name: Arc<str> = Arc::from(to.1);
        self.names.insert((to.0, name.clone()), ino);
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.parent = to.0;
            inode.name = name;
        }
        if let Some(parent) = self.table.get_mut(&to.0) {
            parent.pins += 1;
        }
        self.unpin(from.0);
    }

    /// A handle on the inode was opened.
    pub(crate) fn open(&mut self, ino: u64) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.handles += 1;
            inode.pins += 1;
        }
    }

    /// A handle on the inode was closed.
    pub(crate) fn close(&mut self, ino: u64) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.handles = inode.handles.saturating_sub(1);
        }
        self.unpin(ino);
    }

    /// The kernel has forgotten `count` of what it was told.
    pub(crate) fn forget(&mut self, ino: u64, count: u64) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.lookups = inode.lookups.saturating_sub(count);
        }
        self.reap(ino);
    }

    fn unpin(&mut self, ino: u64) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.pins = inode.pins.saturating_sub(1);
        }
        self.reap(ino);
    }

    /// Drops an inode nobody refers to, and then the directories above that it alone kept.
    fn reap(&mut self, ino: u64) {
        let mut at = ino;
        while let Some(inode) = self.table.get(&at) {
            if at == ROOT || inode.lookups > 0 || inode.pins > 0 {
                return;
            }
            self.detach(at);
            self.drafts.remove(&at);
            let Some(inode) = self.table.remove(&at) else {
                return;
            };
            at = inode.parent;
            if let Some(parent) = self.table.get_mut(&at) {
                parent.pins = parent.pins.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
