//! What the source said about names. Requests overtake each other, so each piece of news carries
//! the time at which it was asked for, and the newest wins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::{Directories, Listing};
use super::{Body, Entry, Names, Node, Version};
use crate::fs::listing::DirEntry;

/// What the table makes of news about one name.
#[derive(Clone, Debug)]
pub(crate) enum Observed<B> {
    /// The name stands for this; the kernel is told.
    Found(Entry<B>),
    /// There is nothing, as of this time.
    Absent(Instant),
    /// Something newer is known, but not what: ask again.
    Outdated,
}

impl<B: Body> Names<B> {
    /// Takes in that the source had `found` at a name when it was asked at `asked`. The kernel then
    /// refers to it until it forgets.
    pub(crate) fn observe(
        &mut self,
        parent: u64,
        name: &str,
        found: Option<Node<B>>,
        asked: Instant,
    ) -> Observed<B> {
        if let Some(observed) = self.led_to(parent, name) {
            return observed;
        }
        if let Some(known) = self.newer(parent, name, found.as_ref(), asked) {
            return Observed::Found(self.refer(known));
        }
        match found {
            Some(_) if !self.directories.believes(parent, name, asked) => Observed::Outdated,
            Some(node) => {
                let ino = self.believe(parent, name, node, asked);
                Observed::Found(self.refer(ino))
            }
            None => {
                self.detach_name(parent, name);
                Observed::Absent(asked)
            }
        }
    }

    /// The known inode of a name that news do not change: it is being written, is a directory that
    /// is kept, or is known from later.
    fn newer(
        &self,
        parent: u64,
        name: &str,
        found: Option<&Node<B>>,
        asked: Instant,
    ) -> Option<u64> {
        let ino = self.number(parent, name)?;
        let inode = self.table.get(&ino)?;
        let stays = match &inode.node {
            Node::Written(_) => true,
            Node::Directory => inode.kept && !matches!(found, Some(Node::File(_))),
            Node::File(_) => false,
        };
        (stays || inode.checked > asked).then_some(ino)
    }

    /// The name stands for `node`: for the inode it has if that is the same, else for a new one.
    fn believe(&mut self, parent: u64, name: &str, node: Node<B>, asked: Instant) -> u64 {
        if let Some(ino) = self.number(parent, name)
            && let Some(inode) = self.table.get_mut(&ino)
        {
            let same = match (&inode.node, &node) {
                (Node::Directory, Node::Directory) => true,
                (Node::File(old), Node::File(new)) => old.etag == new.etag && old.size == new.size,
                _ => false,
            };
            if same {
                inode.checked = inode.checked.max(asked);
                return ino;
            }
        }
        self.detach_name(parent, name);
        self.insert(parent, name, node, asked)
    }

    /// The kernel is told of an inode.
    pub(super) fn refer(&mut self, ino: u64) -> Entry<B> {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.lookups += 1;
        }
        // Each caller has just found or made it.
        self.get(ino).unwrap_or_else(|| Entry {
            ino,
            node: Node::Directory,
            checked: Instant::now(),
            maker: None,
            named: false,
        })
    }

    /// What is known of a name without asking: what leads to a root, an inode no older than `age_max`, or a
    /// listing.
    pub(crate) fn known(
        &mut self,
        parent: u64,
        name: &str,
        age_max: Option<Duration>,
    ) -> Option<Observed<B>> {
        if let Some(observed) = self.led_to(parent, name) {
            return Some(observed);
        }
        if let Some(entry) = self.child(parent, name) {
            let ours = matches!(entry.node, Node::Written(_));
            if ours || self.is_fresh(entry.checked, age_max) {
                return Some(Observed::Found(self.refer(entry.ino)));
            }
        }
        let listing = self.directories.listing(parent, age_max)?;
        let listed = listing.get(name).map(node_of);
        match self.observe(parent, name, listed, listing.taken) {
            Observed::Outdated => None,
            observed => Some(observed),
        }
    }

    /// The inode of an entry of a listing that was asked for at `asked`; `None` if the listing is
    /// too old to say what the name is now.
    pub(crate) fn listed(
        &mut self,
        directory: u64,
        entry: &DirEntry,
        asked: Instant,
    ) -> Option<Entry<B>> {
        match self.observe(directory, &entry.name, Some(node_of(entry)), asked) {
            Observed::Found(entry) => Some(entry),
            Observed::Absent(_) | Observed::Outdated => None,
        }
    }

    /// The source was seen to still have this version.
    pub(crate) fn confirmed(&mut self, ino: u64, asked: Instant) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.checked = inode.checked.max(asked);
        }
    }

    /// A complete listing no older than `age_max`, or of the roots that a directory leads to.
    pub(crate) fn listing(
        &self,
        directory: u64,
        age_max: Option<Duration>,
    ) -> Option<Arc<Listing>> {
        let of_roots = self.attached.listing(directory).cloned();
        of_roots.or_else(|| self.directories.listing(directory, age_max))
    }

    /// What to give back with a listing that begins now; see [`Self::keep_listing`].
    pub(crate) fn begin_listing(&self, directory: u64) -> u64 {
        self.directories.changes(directory)
    }

    /// Whether a directory of so many entries is kept.
    pub(crate) fn keeps_listing(entries: usize) -> bool {
        Directories::fits(entries)
    }

    /// Keeps a complete listing that was begun at `begun`, unless the directory was changed or a new
    /// consumer came since.
    pub(crate) fn keep_listing(
        &mut self,
        directory: u64,
        entries: Vec<DirEntry>,
        begun: Instant,
        changes: u64,
    ) {
        let unchanged = self.directories.changes(directory) == changes;
        let known = self.table.contains_key(&directory);
        if unchanged && known && self.is_fresh(begun, None) {
            self.directories.keep(directory, entries, begun);
        }
    }

    /// Entries of a directory that the source does not have, or not so: files that are being
    /// written and directories that are kept.
    pub(crate) fn ours_in(&self, directory: u64) -> Vec<(Arc<str>, Node<B>)> {
        let ours = self.written.iter().chain(&self.kept);
        ours.filter_map(|ino| {
            let inode = self.table.get(ino)?;
            (inode.parent == directory && self.is_named(*ino, inode))
                .then(|| (inode.name.clone(), inode.node.clone()))
        })
        .collect()
    }
}

fn node_of<B>(entry: &DirEntry) -> Node<B> {
    let version: Option<Version> = entry.version.clone();
    version.map_or(Node::Directory, Node::File)
}
