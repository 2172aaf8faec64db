//! What the kernel, open handles and children still refer to, and what can be dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::{Body, Inode, Names, Node};

/// Files of one mount, at about 400 bytes each: 80 MB. A walk over a million files forgets the
/// first while it goes on.
const FILES_MAX: usize = 200_000;

/// Directories of one mount. The kernel drops what is mounted over a directory together with its
/// name, so the table keeps as many as it can afford and then drops the youngest first: what a walk
/// finds is younger than what a container was started with.
const DIRECTORIES_MAX: usize = 400_000;

/// Names the kernel is told to drop at once: few enough to be done before as many come again.
const BATCH: usize = 20_000;

/// Inodes in the order in which they may be dropped. Those that have gone meanwhile stay in the
/// queue until somebody comes to them.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Oldest first.
    files: VecDeque<u64>,
    /// Youngest last.
    directories: VecDeque<u64>,
    /// Directories that are in the table.
    directory_count: usize,
    /// A look that found nothing to drop is not repeated before the table has grown to this.
    next_look: usize,
}

impl Idle {
    pub(super) fn enqueue(&mut self, ino: u64, directory: bool) {
        if directory {
            self.directory_count += 1;
            self.directories.push_back(ino);
        } else {
            self.files.push_back(ino);
        }
    }

    /// Takes those out of the queues that have gone, when they are most of it.
    pub(super) fn tidy<B>(&mut self, table: &HashMap<u64, Inode<B>>) {
        let limit = 2 * (table.len() + BATCH);
        for queue in [&mut self.files, &mut self.directories] {
            if queue.len() > limit {
                queue.retain(|ino| table.contains_key(ino));
            }
        }
    }
}

impl<B: Body> Names<B> {
    /// A handle on the inode was opened; with `body` it can write to that.
    pub(crate) fn opened(&mut self, ino: u64, body: Option<&B>) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.handles += 1;
            inode.pins += 1;
        }
        if let Some(body) = body {
            body.join();
        }
    }

    /// A handle on the inode was closed.
    pub(crate) fn closed(&mut self, ino: u64) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.handles = inode.handles.saturating_sub(1);
            // What could not be written takes room for as long as somebody may read it.
            if inode.handles == 0 && !self.written.contains(&ino) {
                inode.let_go();
            }
        }
        self.unpin(ino);
    }

    /// The kernel has forgotten `count` of what it was told.
    pub(crate) fn forgot(&mut self, ino: u64, count: u64) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.lookups = inode.lookups.saturating_sub(count);
        }
        self.reap(ino);
    }

    /// Whether there are more names than the table means to keep.
    pub(crate) fn is_full(&self) -> bool {
        let (files, directories) = self.surplus();
        (files > 0 || directories > 0) && self.table.len() >= self.idle.next_look
    }

    fn surplus(&self) -> (usize, usize) {
        let directories = self.idle.directory_count;
        let files = self.table.len().saturating_sub(directories);
        (
            files.saturating_sub(FILES_MAX),
            directories.saturating_sub(DIRECTORIES_MAX),
        )
    }

    /// Names that only the kernel's cache refers to, for it to drop. One look passes over a bounded
    /// number of inodes, and does not come back to them before the others.
    pub(crate) fn droppable(&mut self) -> Vec<(u64, Arc<str>)> {
        let (files, directories) = self.surplus();
        let mut names = Vec::new();
        for _ in 0..BATCH.min(self.idle.files.len()) {
            if names.len() >= files {
                break;
            }
            if let Some(ino) = self.idle.files.pop_front()
                && self.table.contains_key(&ino)
            {
                self.idle.files.push_back(ino);
                names.extend(self.unused_name(ino));
            }
        }
        let wanted = names.len() + directories;
        for _ in 0..BATCH.min(self.idle.directories.len()) {
            if names.len() >= wanted {
                break;
            }
            if let Some(ino) = self.idle.directories.pop_back()
                && self.table.contains_key(&ino)
            {
                self.idle.directories.push_front(ino);
                names.extend(self.unused_name(ino));
            }
        }
        self.idle.next_look = if names.is_empty() {
            self.table.len() + BATCH
        } else {
            0
        };
        names
    }

    fn unused_name(&mut self, ino: u64) -> Option<(u64, Arc<str>)> {
        // One that nobody was told of, or has forgotten while it was awaited, just goes.
        self.reap(ino);
        let inode = self.table.get(&ino)?;
        (inode.pins == 0).then(|| (inode.parent, inode.name.clone()))
    }

    pub(super) fn unpin(&mut self, ino: u64) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.pins = inode.pins.saturating_sub(1);
        }
        self.reap(ino);
    }

    /// Drops an inode nobody refers to, and then the directories above that it alone kept.
    pub(super) fn reap(&mut self, ino: u64) {
        let mut at = ino;
        while let Some(inode) = self.table.get(&at) {
            // A kernel that looks a name up again forgets what it has just been told of it.
            let awaited = inode.awaits(Instant::now());
            if inode.lookups > 0 || inode.pins > 0 || awaited {
                return;
            }
            self.detach(at);
            self.written.remove(&at);
            let Some(inode) = self.table.remove(&at) else {
                return;
            };
            if matches!(inode.node, Node::Directory) {
                self.idle.directory_count -= 1;
                self.directories.forget(at);
            }
            at = inode.parent;
            if let Some(parent) = self.table.get_mut(&at) {
                parent.pins = parent.pins.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Table;
    use super::super::{Node, Observed, ROOT};
    use super::*;

    /// Directories of a walk: more than the table keeps.
    const WALKED: usize = DIRECTORIES_MAX + 10 * BATCH;

    /// Walks over directories, with a kernel that `forgets` what it is told to drop, or has all of
    /// them open. Gives the table, and how many looks for names to drop that took.
    fn walk(forgets: bool) -> (Table, usize) {
        let now = Instant::now();
        let (mut names, mut looks) = (Table::new(now), 0);
        for number in 0..WALKED {
            let observed = names.observe(ROOT, &number.to_string(), Some(Node::Directory), now);
            let Observed::Found(found) = observed else {
                panic!("{number}: {observed:?}");
            };
            if !forgets {
                names.opened(found.ino, None);
            }
            if names.is_full() {
                looks += 1;
                for (parent, name) in names.droppable() {
                    let ino = names.child(parent, &name).unwrap().ino;
                    names.forgot(ino, 1);
                }
            }
        }
        (names, looks)
    }

    #[test]
    fn a_walk_over_more_directories_than_the_table_keeps_leaves_it_bounded() {
        let (names, _) = walk(true);
        let kept = names.table.len();
        assert!((DIRECTORIES_MAX..=DIRECTORIES_MAX + BATCH).contains(&kept));
        let queued = names.idle.directories.len();
        assert!(queued <= 2 * (kept + BATCH), "{queued} queued");
    }

    #[test]
    fn a_table_full_of_what_cannot_be_dropped_is_not_searched_at_every_name() {
        let (names, looks) = walk(false);
        assert!(names.table.len() > WALKED, "nothing that is open goes");
        let most = (WALKED - DIRECTORIES_MAX) / BATCH + 1;
        assert!((1..=most).contains(&looks), "{looks} looks");
    }
}
