//! The directories that are roots, and those that only lead to some: the mount's configuration says which
//! there are, and it may change while the mount is used.
//!
//! A root that is taken away loses its name and nothing else. What is open in it goes on where it is, as
//! below a directory that was unmounted lazily (`umount -l`); one that comes later is another inode.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::directory::Listing;
use super::place::DEPTH_MAX;
use super::{Body, Inode, Names, Node, Observed};
use crate::fs::key::Root;
use crate::fs::listing::DirEntry;
use crate::fs::roots::{Roots, split};

/// See the module.
#[derive(Debug)]
pub(super) struct Attached {
    /// Roots and what leads to them, by path.
    tree: BTreeMap<String, u64>,
    /// What lies in each directory that only leads to roots.
    leading: HashMap<u64, Arc<Listing>>,
}

impl Attached {
    pub(super) fn at_top(top: u64) -> Self {
        Self {
            tree: BTreeMap::from([(String::new(), top)]),
            leading: HashMap::new(),
        }
    }

    /// What lies in a directory that only leads to roots; `None` for any other.
    pub(super) fn listing(&self, directory: u64) -> Option<&Arc<Listing>> {
        self.leading.get(&directory)
    }
}

impl<B: Body> Names<B> {
    /// The directory that the mount shows. It becomes another one when a mount that has roots comes to
    /// have none, or the other way round.
    pub(crate) fn top(&self) -> u64 {
        self.top
    }

    /// Whether a directory was mounted once: the kernel knows another by its number.
    pub(super) fn was_top(&self, directory: u64) -> bool {
        let inode = self.table.get(&directory);
        directory != self.top && inode.is_some_and(|inode| inode.parent == directory)
    }

    /// The root that an inode is or lies in, whether the tree still has it or not; `None` for what only
    /// leads to roots.
    pub(crate) fn root(&self, ino: u64) -> Option<&Arc<Root>> {
        let mut at = ino;
        for _ in 0..DEPTH_MAX {
            let inode = self.table.get(&at)?;
            if inode.root.is_some() || inode.parent == at {
                return inode.root.as_ref();
            }
            at = inode.parent;
        }
        None
    }

    /// Whether a directory only leads to roots: nothing but those is in it, whatever a source has.
    pub(crate) fn leads(&self, directory: u64) -> bool {
        self.attached.listing(directory).is_some()
    }

    /// What a name stands for in a directory that only leads to roots; `None` for any other directory.
    pub(super) fn led_to(&mut self, directory: u64, name: &str) -> Option<Observed<B>> {
        if !self.leads(directory) {
            return None;
        }
        let now = Instant::now();
        let Some(ino) = self.number(directory, name) else {
            return Some(Observed::Absent(now));
        };
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.checked = now;
        }
        Some(Observed::Found(self.refer(ino)))
    }

    /// Brings the tree to `roots`. Returns the names that the kernel has to ask for again.
    pub(crate) fn show(&mut self, roots: &Roots, now: Instant) -> Vec<(u64, Arc<str>)> {
        let wanted = roots.directories();
        let (mut changed, before) = (Vec::new(), self.top);
        let tree = std::mem::take(&mut self.attached.tree);
        // What lies in others first, so that a name goes before what it lies in.
        for (path, ino) in tree.into_iter().rev() {
            let stays = wanted.get(path.as_str());
            if stays.is_some_and(|root| self.is_at(ino, *root)) {
                self.attached.tree.insert(path, ino);
            } else if ino == self.top {
                changed.extend(self.replace_top(now));
            } else {
                changed.extend(self.place(ino));
                self.detach(ino);
                self.unpin(ino);
            }
        }
        for (path, root) in &wanted {
            if self.attached.tree.contains_key(*path) {
                continue;
            }
            let ino = match split(path) {
                None => self.top,
                Some((parent, name)) => {
                    let parent = self.attached.tree.get(parent).copied();
                    let parent = parent.unwrap_or(self.top);
                    let ino = self.insert(parent, name, Node::Directory, now);
                    changed.push((parent, Arc::from(name)));
                    ino
                }
            };
            if let Some(inode) = self.table.get_mut(&ino) {
                inode.root = root.cloned();
                inode.pins += 1;
            }
            self.attached.tree.insert((*path).to_owned(), ino);
        }
        self.list_what_leads(now);
        // The kernel knows both by the same number.
        for (directory, _) in &mut changed {
            if *directory == before {
                *directory = self.top;
            }
        }
        changed
    }

    fn is_at(&self, ino: u64, root: Option<&Arc<Root>>) -> bool {
        let shown = self.table.get(&ino).map(|inode| inode.root.as_ref());
        shown.is_some_and(|shown| {
            shown.map(|root| root.location()) == root.map(|root| root.location())
        })
    }

    /// The mount shows another directory from now on, with nothing in it yet. Returns the names that the
    /// kernel has of the one before.
    fn replace_top(&mut self, now: Instant) -> Vec<(u64, Arc<str>)> {
        let before = self.top;
        // An answer that is under way must not last either: it is about the directory before.
        let mut names = self.refreshed(now, None);
        names.retain(|(directory, _)| *directory == before);
        let known = self.current.keys();
        names.extend(known.filter(|(directory, _)| *directory == before).cloned());
        self.last += 1;
        self.top = self.last;
        let top = Inode::top(self.top, now);
        self.table.insert(self.top, top);
        self.idle.enqueue(self.top, true);
        if let Some(inode) = self.table.get_mut(&before) {
            inode.lookups = 0;
        }
        self.unpin(before);
        names
    }

    fn list_what_leads(&mut self, now: Instant) {
        let mut entries: HashMap<u64, Vec<DirEntry>> = HashMap::new();
        for (path, ino) in &self.attached.tree {
            if self
                .table
                .get(ino)
                .is_some_and(|inode| inode.root.is_none())
            {
                entries.entry(*ino).or_default();
            }
            let Some((parent, name)) = split(path) else {
                continue;
            };
            if let Some(parent) = self.attached.tree.get(parent) {
                entries.entry(*parent).or_default().push(DirEntry {
                    name: name.into(),
                    version: None,
                });
            }
        }
        let listing = |(ino, entries)| (ino, Arc::new(Listing::new(entries, now)));
        self.attached.leading = entries.into_iter().map(listing).collect();
    }
}

#[cfg(test)]
mod tests;
