//! Renaming: copying within the source, and deleting.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fuser::{Errno, RenameFlags};
use futures::{StreamExt, TryStreamExt, stream};

use super::core::{Core, Node};
use super::draft::{Draft, Held, hold_all};
use super::inode::{Renewed, Version};
use super::name;
use super::source::Source;

/// Copies under way at once when a directory is renamed: hides the source's latency without
/// crowding out other requests.
const COPIES_MAX: usize = 16;

impl Core {
    /// Renames by copying within the source and deleting.
    ///
    /// What is at the new name is replaced at once if it is a file; a directory must be empty.
    /// A directory moves a page of objects at a time: if that fails half-way, each object is at one
    /// of the two places or at both.
    pub(crate) async fn rename(
        &self,
        from: (u64, &OsStr),
        to: (u64, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        self.check_writable()?;
        if flags.intersects(RenameFlags::RENAME_EXCHANGE | RenameFlags::RENAME_WHITEOUT) {
            return Err(Errno::EINVAL);
        }
        let from = (from.0, name::component(from.1)?);
        let to = (to.0, name::component(to.1)?);
        let from_key = self.child_key(from.0, from.1)?;
        let to_key = self.child_key(to.0, to.1)?;
        let node = self.node_at(from, &from_key).await?.ok_or(Errno::ENOENT)?;
        let target = self.node_at(to, &to_key).await?;
        if target.is_some() && flags.contains(RenameFlags::RENAME_NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        match (&node, &target) {
            (Node::Directory, Some(Node::Directory)) => {
                self.check_empty(to.0, to.1, &format!("{to_key}/")).await?;
            }
            (Node::Directory, Some(_)) => return Err(Errno::ENOTDIR),
            (_, Some(Node::Directory)) => return Err(Errno::EISDIR),
            (_, Some(Node::Draft(_) | Node::File(_)) | None) => {}
        }
        // Nothing of what is being written may come after what is moved, or to where it was.
        let mut drafts = self.drafts_to_hold(from, &node, target.as_ref());
        let mut held = hold_all(&mut drafts).await;
        match &node {
            Node::Directory => {
                // Parts of a large file have been sent for the old name.
                if held.iter().any(|draft| !draft.is_ours_alone()) {
                    return Err(Errno::EBUSY);
                }
                let copies = self.move_directory(from, &from_key, &to_key).await?;
                self.renamed(from, to, None);
                self.inodes().renew(copies);
            }
            Node::File(version) => {
                let moved = self.move_file(&from_key, version, &to_key).await?;
                for draft in &mut held {
                    draft.moved(version, &moved);
                }
                self.renamed(from, to, Some(moved));
            }
            Node::Draft(draft) => {
                let own = held.iter_mut().find(|held| held.is(draft));
                let own = own.ok_or(Errno::EIO)?;
                let moved = self.move_draft(own, &from_key, &to_key).await?;
                self.renamed(from, to, moved);
            }
        }
        if let Some(Node::Draft(replaced)) = &target {
            let replaced = held.iter_mut().find(|held| held.is(replaced));
            replaced.into_iter().for_each(Held::discard);
        }
        Ok(())
    }

    /// Files whose writing has to wait for a rename: what is moved, and what is replaced.
    fn drafts_to_hold(
        &self,
        from: (u64, &str),
        node: &Node,
        target: Option<&Node>,
    ) -> Vec<Arc<Draft>> {
        let known = self.inodes().child(from.0, from.1).map(|entry| entry.ino);
        let mut drafts = match (node, known) {
            (Node::Draft(draft), _) => vec![draft.clone()],
            (Node::Directory, Some(ino)) => self.inodes().drafts_below(ino),
            // Committed, and not closed yet: its writers may go on.
            (Node::File(_), Some(ino)) => {
                let files = self.files.all();
                let open = files.iter().filter(|file| file.ino == ino);
                open.filter_map(|file| file.draft()).collect()
            }
            (_, None) => Vec::new(),
        };
        if let Some(Node::Draft(replaced)) = target {
            drafts.push(replaced.clone());
        }
        drafts
    }

    async fn node_at(&self, place: (u64, &str), key: &str) -> Result<Option<Node>, Errno> {
        let known = self.inodes().child(place.0, place.1);
        match known.map(|entry| entry.node) {
            Some(Node::Draft(draft)) => Ok(Some(Node::Draft(draft))),
            _ => self.ask(key).await,
        }
    }

    fn renamed(&self, from: (u64, &str), to: (u64, &str), version: Option<Version>) {
        let mut inodes = self.inodes();
        inodes.rename(from, to);
        // The bytes are the same, so whoever has the file open goes on with the new version.
        if let (Some(version), Some(entry)) = (&version, inodes.child(to.0, to.1)) {
            inodes.set_node(entry.ino, Node::File(version.clone()), Instant::now());
        }
        let moved = inodes.child(to.0, to.1).map(|entry| entry.node);
        drop(inodes);
        self.listings().update(from.0, from.1, None);
        match (version, moved) {
            (None, Some(Node::Draft(_))) => self.listings().update(to.0, to.1, None),
            (version, _) => self.note(to.0, to.1, version),
        }
    }

    async fn move_file(&self, from: &str, version: &Version, to: &str) -> Result<Version, Errno> {
        self.source.copy(from, version, to).await?;
        let copied = self.source.head(to).await?.ok_or(Errno::ESTALE)?;
        self.source.delete(from).await?;
        Ok(copied)
    }

    /// A file that is wholly ours goes to its new name when it is closed: `None`. Of a larger one,
    /// parts have been sent for the old name, so it first appears there.
    async fn move_draft(
        &self,
        draft: &mut Held<'_>,
        from: &str,
        to: &str,
    ) -> Result<Option<Version>, Errno> {
        if draft.is_ours_alone() {
            // It was to take the place of what may be there.
            self.source.delete(from).await?;
            return Ok(None);
        }
        let committed = draft.commit(&self.source, Some(from.to_owned()), false);
        let version = committed.await?.ok_or(Errno::ESTALE)?;
        let moved = self.move_file(from, &version, to).await?;
        draft.moved(&version, &moved);
        Ok(Some(moved))
    }

    /// Moves a directory's objects; returns what became of those that are known, since a copy may
    /// be another version.
    async fn move_directory(
        &self,
        place: (u64, &str),
        from: &str,
        to: &str,
    ) -> Result<Vec<Renewed>, Errno> {
        let directory = self.inodes().child(place.0, place.1).map(|entry| entry.ino);
        let (from, to) = (format!("{from}/"), format!("{to}/"));
        self.check_lengths(&from, &to).await?;
        // Only what was copied is deleted: what others add meanwhile stays where they put it.
        let (mut pages, mut renewed) = (Pages::new(&from), Vec::new());
        while let Some(objects) = pages.next(&self.source).await? {
            // Collected first: a stream over borrowing closures would not be `Send`.
            let copies: Vec<_> = objects
                .iter()
                .map(|(key, version)| self.copy_to(key, version, &from, &to))
                .collect();
            let copies = stream::iter(copies).buffered(COPIES_MAX);
            let etags: Vec<_> = copies.try_collect().await?;
            for ((key, version), etag) in objects.iter().zip(etags) {
                let path = key.strip_prefix(&from).unwrap_or_default();
                let known = directory.and_then(|ino| self.inodes().find_below(ino, path));
                renewed.extend(known.map(|ino| Renewed {
                    ino,
                    from: version.etag.clone(),
                    to: etag,
                }));
            }
            let keys: Vec<String> = objects.into_iter().map(|(key, _)| key).collect();
            self.source.delete_many(&keys).await?;
        }
        Ok(renewed)
    }

    async fn copy_to(
        &self,
        key: &str,
        version: &Version,
        from: &str,
        to: &str,
    ) -> Result<Arc<str>, Errno> {
        let rest = key.strip_prefix(from).ok_or(Errno::EIO)?;
        let target = format!("{to}{rest}");
        // Stores that keep directories of their own cannot copy what marks one.
        if key.ends_with('/') && version.size == 0 {
            return self.source.put(&target, Bytes::new(), false).await;
        }
        self.source.copy(key, version, &target).await
    }

    /// `ENAMETOOLONG` before anything is moved.
    async fn check_lengths(&self, from: &str, to: &str) -> Result<(), Errno> {
        let longest = self.settings().key_bytes_max;
        let mut pages = Pages::new(from);
        while let Some(objects) = pages.next(&self.source).await? {
            let too_long = |(key, _): &(String, _)| key.len() - from.len() + to.len() > longest;
            if objects.iter().any(too_long) {
                return Err(Errno::ENAMETOOLONG);
            }
        }
        Ok(())
    }
}

/// All keys below a prefix, a page at a time.
struct Pages<'a> {
    prefix: &'a str,
    continuation: Option<String>,
    over: bool,
}

impl<'a> Pages<'a> {
    fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            continuation: None,
            over: false,
        }
    }

    async fn next(&mut self, source: &Source) -> Result<Option<Vec<(String, Version)>>, Errno> {
        if self.over {
            return Ok(None);
        }
        let page = source
            .keys(self.prefix, self.continuation.take(), None)
            .await?;
        self.over = page.next.is_none();
        self.continuation = page.next;
        Ok(Some(page.objects))
    }
}
