//! What this mount does to names, each as one step under the table's lock.

use std::time::Instant;

use super::{Body, Entry, Names, Node, Renewed, Version};
use crate::fs::listing::DirEntry;

/// Directories kept at once, at about 500 bytes each: 5 MB. Beyond, the oldest is again what the
/// source has.
const KEPT_MAX: usize = 10_000;

impl<B: Body> Names<B> {
    /// A file was made: the name stands for it, whatever it stood for before.
    pub(crate) fn created(&mut self, parent: u64, name: &str, body: B, now: Instant) -> Entry<B> {
        self.detach_name(parent, name);
        let ino = self.insert(parent, name, Node::Written(body), now);
        self.refer(ino)
    }

    /// A directory was made.
    pub(crate) fn made_directory(&mut self, parent: u64, name: &str, now: Instant) -> Entry<B> {
        self.directories
            .update(parent, name, Some(listed(name, None)));
        self.detach_name(parent, name);
        let ino = self.insert(parent, name, Node::Directory, now);
        self.refer(ino)
    }

    /// Writing to `body` began through an inode. Returns whether others have it open: then its cached
    /// pages are right for none of them.
    pub(crate) fn begun(&mut self, ino: u64, body: B) -> bool {
        let Some(inode) = self.table.get_mut(&ino) else {
            return false;
        };
        inode.contested |= inode.handles > 0;
        let contested = inode.contested;
        self.set_node(ino, Node::Written(body));
        contested
    }

    /// Writing to the version that an inode stands for began, through any handle on it: whoever has
    /// it open sees what is written.
    pub(crate) fn joined(&mut self, ino: u64, body: B) {
        self.set_node(ino, Node::Written(body));
    }

    /// Whether a thread may begin a file anew through an inode. If not, its name gets one through which it
    /// may, which a second look-up finds: whoever has this one open keeps what it is.
    pub(crate) fn claims(&mut self, ino: u64, thread: u32, now: Instant) -> bool {
        let Some(inode) = self.table.get_mut(&ino).filter(|inode| !inode.removed) else {
            return false;
        };
        let (place, awaited) = ((inode.parent, inode.name.clone()), inode.awaits(now));
        let named = self.current.get(&place).copied();
        if inode.is_free(now) && (named == Some(ino) || awaited) {
            inode.came(thread);
            self.detach_name(place.0, &place.1);
            self.current.insert(place, ino);
            return true;
        }
        let free = match named.and_then(|named| self.table.get(&named)) {
            Some(other) if other.is_free(now) => named,
            Some(_) => named.and_then(|named| self.renumber(named)),
            None => None,
        };
        if let Some(inode) = free.and_then(|free| self.table.get_mut(&free)) {
            inode.await_one(thread, now);
        }
        false
    }

    /// Whether others are about to begin a file anew through the inode: its cached pages are
    /// nobody's.
    pub(crate) fn is_shared(&self, ino: u64, now: Instant) -> bool {
        let inode = self.table.get(&ino);
        inode.is_some_and(|inode| inode.contested || inode.awaits(now))
    }

    /// The name of an inode gets another one, which stands for the same.
    fn renumber(&mut self, ino: u64) -> Option<u64> {
        let inode = self.table.get(&ino)?;
        let (parent, name) = (inode.parent, inode.name.clone());
        let (node, checked) = (inode.node.clone(), inode.checked);
        self.detach(ino);
        Some(self.insert(parent, &name, node, checked))
    }

    /// The source has `version`, which is `body`, at the inode's name.
    pub(crate) fn committed(&mut self, ino: u64, body: &B, version: &Version, now: Instant) {
        let Some(inode) = self.table.get_mut(&ino).filter(|inode| !inode.removed) else {
            return;
        };
        inode.checked = now;
        let (parent, name, contested) = (inode.parent, inode.name.clone(), inode.contested);
        let current = inode.is_of(body);
        let entry = listed(&name, Some(version.clone()));
        self.directories.update(parent, &name, Some(entry));
        self.directories.changed(parent, &name, now);
        let named = self
            .number(parent, &name)
            .and_then(|ino| self.table.get(&ino));
        let (same, awaited) = named.map_or((false, None), |named| {
            (named.is_of(body), named.awaited.clone())
        });
        let own = self.number(parent, &name) == Some(ino);
        // Somebody is about to begin it anew through an inode that was made for that.
        if same && !own {
            return;
        }
        // Whoever else writes it takes the name back when he closes it.
        self.detach_name(parent, &name);
        if current && !contested && (own || awaited.is_none()) {
            self.current.insert((parent, name), ino);
        } else {
            // The pages of this one are of several bodies, or would be.
            let new = self.insert(parent, &name, Node::File(version.clone()), now);
            if let Some(new) = self.table.get_mut(&new) {
                new.awaited = awaited;
            }
        }
    }

    /// The last handle that could write to `body` was closed; `version` is what the source has of
    /// it, if it has it. A handle that was opened meanwhile goes on with it.
    pub(crate) fn settled(&mut self, ino: u64, body: &B, version: Option<&Version>, now: Instant) {
        let Some(inode) = self.table.get_mut(&ino) else {
            return;
        };
        if !inode.is_of(body) || body.writers() > 0 {
            return;
        }
        let place = (inode.parent, inode.name.clone());
        // An open that came to nothing may have left another inode of the same body.
        for other in self.written_at(place.0, &place.1) {
            if self
                .table
                .get(&other)
                .is_some_and(|inode| inode.is_of(body))
            {
                self.settle(other, version.cloned(), now);
            }
        }
    }

    fn settle(&mut self, ino: u64, version: Option<Version>, now: Instant) {
        let Some(version) = version else {
            // Whoever has it open can still read it; the name is what the source has.
            self.written.remove(&ino);
            self.detach(ino);
            return;
        };
        self.set_node(ino, Node::File(version));
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.checked = now;
            if inode.contested {
                self.detach(ino);
            }
        }
    }

    /// The name stands for what the source has, which the next look-up will find: somebody else has
    /// changed it, or what was written could not be. The inode keeps its path, for those who have it
    /// open.
    pub(crate) fn superseded(&mut self, ino: u64) {
        if let Some((parent, _)) = self.place(ino) {
            self.directories.invalidate(parent);
        }
        self.detach(ino);
    }

    /// A name was removed.
    pub(crate) fn removed(&mut self, parent: u64, name: &str, now: Instant) {
        self.directories.update(parent, name, None);
        self.directories.changed(parent, name, now);
        self.orphan(parent, name);
        self.keep(parent);
    }

    /// A name was moved, and with it whatever is below. What was at the new name is removed.
    /// `version`: what the source has at the new name, if it is a file that it has.
    pub(crate) fn renamed(
        &mut self,
        from: (u64, &str),
        to: (u64, &str),
        version: Option<Version>,
        now: Instant,
    ) {
        self.orphan(to.0, to.1);
        self.directories.update(from.0, from.1, None);
        self.directories.changed(from.0, from.1, now);
        let named = self.number(from.0, from.1);
        let directory = named
            .and_then(|ino| self.table.get(&ino))
            .is_none_or(|inode| matches!(inode.node, Node::Directory));
        let entry = match &version {
            Some(version) => Some(listed(to.1, Some(version.clone()))),
            None => directory.then(|| listed(to.1, None)),
        };
        self.directories.update(to.0, to.1, entry);
        self.directories.changed(to.0, to.1, now);
        let mut moved = self.written_at(from.0, from.1);
        moved.retain(|ino| Some(*ino) != named);
        for ino in named.into_iter().chain(moved) {
            self.move_inode(ino, to, Some(ino) == named);
        }
        if let Some(ino) = named
            && let Some(inode) = self.table.get_mut(&ino)
        {
            inode.checked = now;
            if let (Node::File(known), Some(version)) = (&mut inode.node, version) {
                // The bytes are the same, so whoever has the file open goes on with the copy.
                *known = version;
            }
        }
        self.keep(from.0);
    }

    fn move_inode(&mut self, ino: u64, to: (u64, &str), named: bool) {
        self.unname(ino);
        let Some(inode) = self.table.get_mut(&ino) else {
            return;
        };
        let before = std::mem::replace(&mut inode.parent, to.0);
        inode.name = to.1.into();
        let name = inode.name.clone();
        if named {
            self.current.insert((to.0, name), ino);
        }
        if let Some(parent) = self.table.get_mut(&to.0) {
            parent.pins += 1;
        }
        self.unpin(before);
    }

    /// Whoever has one of these open, or looked up, goes on with the copy.
    pub(crate) fn renewed(&mut self, copies: Vec<Renewed>) {
        for copy in copies {
            if let Some(inode) = self.table.get_mut(&copy.ino)
                && let Node::File(version) = &mut inode.node
                && version.etag == copy.from
            {
                version.etag = copy.to;
            }
        }
    }

    /// Notes who made what the inode stands for.
    pub(crate) fn made_by(&mut self, ino: u64, user: u32) {
        if let Some(inode) = self.table.get_mut(&ino) {
            inode.maker = Some(user);
        }
    }

    /// A directory stays until it is removed, though its last object may have gone; and so do those
    /// above it.
    fn keep(&mut self, directory: u64) {
        let mut at = directory;
        while let Some(inode) = self.table.get_mut(&at) {
            if inode.kept || inode.removed || inode.root.is_some() {
                return;
            }
            inode.kept = true;
            inode.pins += 1;
            self.kept.push_back(at);
            at = inode.parent;
            self.keep_few();
        }
    }

    fn keep_few(&mut self) {
        if self.kept.len() > KEPT_MAX
            && let Some(oldest) = self.kept.front().copied()
        {
            self.release(oldest);
        }
    }

    /// The directory is what the source has, from now on.
    fn release(&mut self, directory: u64) {
        let Some(inode) = self.table.get_mut(&directory) else {
            return;
        };
        if inode.kept {
            inode.kept = false;
            self.kept.retain(|kept| *kept != directory);
            self.unpin(directory);
        }
    }

    /// The inodes through which something is being written at a name, named or not.
    fn written_at(&self, parent: u64, name: &str) -> Vec<u64> {
        let at = |ino: &u64| {
            let inode = self.table.get(ino)?;
            (inode.parent == parent && &*inode.name == name).then_some(*ino)
        };
        self.written.iter().filter_map(at).collect()
    }

    /// Nothing of what was at a name is there any more.
    fn orphan(&mut self, parent: u64, name: &str) {
        let mut gone = self.written_at(parent, name);
        gone.extend(self.number(parent, name));
        for ino in gone {
            if let Some(inode) = self.table.get_mut(&ino) {
                inode.removed = true;
            }
            self.detach(ino);
        }
    }

    pub(super) fn detach_name(&mut self, parent: u64, name: &str) {
        if let Some(ino) = self.number(parent, name) {
            self.detach(ino);
        }
    }

    /// The name does not stand for the inode any more.
    pub(super) fn detach(&mut self, ino: u64) {
        self.unname(ino);
        self.release(ino);
    }

    fn unname(&mut self, ino: u64) {
        if let Some(inode) = self.table.get(&ino) {
            let key = (inode.parent, inode.name.clone());
            if self.current.get(&key) == Some(&ino) {
                self.current.remove(&key);
            }
        }
    }
}

fn listed(name: &str, version: Option<Version>) -> DirEntry {
    DirEntry {
        name: name.into(),
        version,
    }
}
