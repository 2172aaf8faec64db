//! Where an inode is: its path, and what is above and below it.

use std::sync::Arc;

use super::{Inodes, Node, ROOT};

/// Deepest directory: a key has at most 1024 bytes, so at most 512 parts. A longer walk up would
/// mean that the table has a cycle.
const DEPTH_MAX: usize = 1024;

impl<D: Clone> Inodes<D> {
    /// Drafts directly or indirectly below a directory.
    pub(crate) fn drafts_below(&self, directory: u64) -> Vec<D> {
        let drafts = self.drafts.iter().filter_map(|ino| {
            let inode = self.table.get(ino)?;
            match &inode.node {
                Node::Draft(draft) if !inode.removed && self.is_below(*ino, directory) => {
                    Some(draft.clone())
                }
                _ => None,
            }
        });
        drafts.collect()
    }

    /// The inode at a path below a directory, if the table has it.
    pub(crate) fn find_below(&self, directory: u64, path: &str) -> Option<u64> {
        path.split('/').try_fold(directory, |at, name| {
            self.names.get(&(at, Arc::from(name))).copied()
        })
    }

    pub(super) fn is_below(&self, ino: u64, directory: u64) -> bool {
        let mut at = ino;
        for _ in 0..DEPTH_MAX {
            match self.table.get(&at) {
                Some(inode) if inode.parent == directory => return at != ROOT,
                Some(inode) if at != ROOT => at = inode.parent,
                _ => return false,
            }
        }
        false
    }

    /// The key of a file or, without its trailing slash, of a directory. `None` if the inode or
    /// one of the directories above it was removed: nothing is at that path any more.
    pub(crate) fn path(&self, ino: u64) -> Option<String> {
        let mut parts = Vec::new();
        let mut at = ino;
        while at != ROOT {
            let inode = self.table.get(&at)?;
            if inode.removed || parts.len() > DEPTH_MAX {
                return None;
            }
            parts.push(&*inode.name);
            at = inode.parent;
        }
        parts.reverse();
        Some(parts.join("/"))
    }

    /// The directory an inode was last seen in.
    pub(crate) fn parent(&self, ino: u64) -> Option<u64> {
        self.table.get(&ino).map(|inode| inode.parent)
    }

    /// The directory and name that stand for this inode now.
    pub(crate) fn place(&self, ino: u64) -> Option<(u64, Arc<str>)> {
        let inode = self.table.get(&ino)?;
        let key = (inode.parent, inode.name.clone());
        (self.names.get(&key) == Some(&ino)).then_some(key)
    }

    /// Names of the drafts in a directory.
    pub(crate) fn drafts_in(&self, directory: u64) -> Vec<(Arc<str>, D)> {
        let drafts = self.drafts.iter().filter_map(|ino| {
            let inode = self.table.get(ino)?;
            match &inode.node {
                Node::Draft(draft) if inode.parent == directory && !inode.removed => {
                    Some((inode.name.clone(), draft.clone()))
                }
                _ => None,
            }
        });
        drafts.collect()
    }

    /// The key prefix of a directory's children: `""` for the root, else ending in a slash.
    pub(crate) fn prefix(&self, directory: u64) -> Option<String> {
        let mut path = self.path(directory)?;
        if !path.is_empty() {
            path.push('/');
        }
        Some(path)
    }
}
