//! Where an inode is: its key, and what is above and below it.

use std::sync::Arc;

use super::{Body, Names, Node};
use crate::fs::key::Key;

/// Deepest directory of a root: a key has at most 1024 bytes, so at most 512 parts. A longer walk up would
/// mean that the table has a cycle.
pub(super) const DEPTH_MAX: usize = 1024;

impl<B: Body> Names<B> {
    /// The key of a file or, without its trailing slash, of a directory. `None` if the inode or
    /// one of the directories above it was removed: nothing is at that path any more; and for what only
    /// leads to roots.
    pub(crate) fn key(&self, ino: u64) -> Option<Key> {
        let mut names = Vec::new();
        let mut at = ino;
        loop {
            let inode = self.table.get(&at)?;
            if let Some(root) = &inode.root {
                return Some(root.key(&names));
            }
            if inode.removed || inode.parent == at || names.len() > DEPTH_MAX {
                return None;
            }
            names.push(&*inode.name);
            at = inode.parent;
        }
    }

    /// What the keys of a directory's children begin with.
    pub(crate) fn prefix(&self, directory: u64) -> Option<Key> {
        let key = self.key(directory)?;
        let is_root = key.within().is_empty();
        Some(if is_root { key } else { key.followed_by("/") })
    }

    /// The directory and name an inode was last seen at.
    pub(crate) fn place(&self, ino: u64) -> Option<(u64, Arc<str>)> {
        let inode = self.table.get(&ino)?;
        Some((inode.parent, inode.name.clone()))
    }

    /// The inode at a path below a directory, if the table has it.
    pub(crate) fn find_below(&self, directory: u64, path: &str) -> Option<u64> {
        path.split('/')
            .try_fold(directory, |at, name| self.number(at, name))
    }

    /// Whether somebody writes, through whatever inode, what will take the inode's name at its close.
    pub(crate) fn is_unsettled(&self, ino: u64) -> bool {
        let Some((parent, name)) = self.place(ino) else {
            return false;
        };
        let mut written = self.written.iter().filter_map(|ino| self.table.get(ino));
        written.any(|inode| inode.parent == parent && inode.name == name && !inode.removed)
    }

    /// What is being written directly or indirectly below a directory, with its inode.
    pub(crate) fn written_below(&self, directory: u64) -> Vec<(u64, B)> {
        let written = self.written.iter().filter_map(|ino| {
            let inode = self.table.get(ino)?;
            match &inode.node {
                Node::Written(body) if !inode.removed && self.is_below(*ino, directory) => {
                    Some((*ino, body.clone()))
                }
                _ => None,
            }
        });
        written.collect()
    }

    pub(super) fn is_below(&self, ino: u64, directory: u64) -> bool {
        let mut at = ino;
        for _ in 0..DEPTH_MAX {
            match self.table.get(&at) {
                Some(inode) if inode.parent == at => return false,
                Some(inode) if inode.parent == directory => return true,
                Some(inode) => at = inode.parent,
                None => return false,
            }
        }
        false
    }
}
