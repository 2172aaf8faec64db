//! Changes of names: making and removing directories, removing and renaming.

use std::ffi::OsStr;
use std::time::Instant;

use bytes::Bytes;
use fuser::{Errno, RenameFlags};
use futures::{StreamExt, TryStreamExt, stream};

use super::core::{Core, Entry, Node};
use super::inode::Version;
use super::listing::DirEntry;
use super::name;
use super::source::Source;

/// Copies under way at once when a directory is renamed: hides the source's latency without
/// crowding out other requests.
const COPIES_MAX: usize = 16;

impl Core {
    /// Makes a directory: an empty object whose key ends in a slash.
    pub(crate) async fn mkdir(&self, parent: u64, name: &OsStr) -> Result<Entry, Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let key = self.child_key(parent, &format!("{name}/"))?;
        self.source.put(&key, Bytes::new(), false).await?;
        self.note(parent, name, None);
        let now = Instant::now();
        Ok(self.inodes().enter(parent, name, Node::Directory, now))
    }

    /// Removes a file.
    pub(crate) async fn unlink(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let key = self.child_key(parent, name)?;
        let known = self.inodes().child(parent, name);
        if let Some(Node::Draft(draft)) = known.map(|entry| entry.node) {
            draft.discard();
        }
        self.source.delete(&key).await?;
        self.inodes().remove(parent, name);
        self.listings().update(parent, name, None);
        Ok(())
    }

    /// Removes a directory with nothing in it. Keys that no path can name count as something.
    pub(crate) async fn rmdir(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let prefix = self.child_key(parent, &format!("{name}/"))?;
        self.check_empty(parent, name, &prefix).await?;
        self.source.delete(&prefix).await?;
        self.inodes().remove(parent, name);
        self.listings().update(parent, name, None);
        Ok(())
    }

    /// `ENOTEMPTY` if there is anything but the marker.
    async fn check_empty(&self, parent: u64, name: &str, prefix: &str) -> Result<(), Errno> {
        let known = self.inodes().child(parent, name);
        if known.is_some_and(|entry| self.inodes().has_draft_below(entry.ino)) {
            return Err(Errno::ENOTEMPTY);
        }
        let page = self.source.keys(prefix, None, Some(2)).await?;
        if page.objects.iter().any(|(key, _)| key != prefix) {
            return Err(Errno::ENOTEMPTY);
        }
        Ok(())
    }

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
            (_, Some(Node::Draft(replaced))) => replaced.discard(),
            (_, Some(Node::File(_)) | None) => {}
        }
        let moved = match node {
            Node::Directory => {
                self.move_directory(&from_key, &to_key).await?;
                None
            }
            Node::File(version) => Some(self.move_file(&from_key, &version, &to_key).await?),
            // It goes to its new name when it is closed.
            Node::Draft(draft) if !draft.was_committed().await => None,
            Node::Draft(_) => return Err(Errno::EBUSY),
        };
        self.renamed(from, to, moved);
        Ok(())
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

    /// Tells the cached listing of a new entry; `None`: a directory.
    fn note(&self, parent: u64, name: &str, version: Option<Version>) {
        let entry = DirEntry {
            name: name.into(),
            version,
        };
        self.listings().update(parent, name, Some(entry));
    }

    async fn move_file(&self, from: &str, version: &Version, to: &str) -> Result<Version, Errno> {
        self.source.copy(from, version, to).await?;
        let copied = self.source.head(to).await?.ok_or(Errno::ESTALE)?;
        self.source.delete(from).await?;
        Ok(copied)
    }

    async fn move_directory(&self, from: &str, to: &str) -> Result<(), Errno> {
        let (from, to) = (format!("{from}/"), format!("{to}/"));
        self.check_lengths(&from, &to).await?;
        // Only what was copied is deleted: what others add meanwhile stays where they put it.
        let mut pages = Pages::new(&from);
        while let Some(objects) = pages.next(&self.source).await? {
            // Collected first: a stream over borrowing closures would not be `Send`.
            let copies: Vec<_> = objects
                .iter()
                .map(|(key, version)| self.copy_to(key, version, &from, &to))
                .collect();
            let copies = stream::iter(copies).buffer_unordered(COPIES_MAX);
            copies.try_collect::<()>().await?;
            let keys: Vec<String> = objects.into_iter().map(|(key, _)| key).collect();
            self.source.delete_many(&keys).await?;
        }
        Ok(())
    }

    async fn copy_to(
        &self,
        key: &str,
        version: &Version,
        from: &str,
        to: &str,
    ) -> Result<(), Errno> {
        let rest = key.strip_prefix(from).ok_or(Errno::EIO)?;
        let target = format!("{to}{rest}");
        // Stores that keep directories of their own cannot copy what marks one.
        if key.ends_with('/') && version.size == 0 {
            return self
                .source
                .put(&target, Bytes::new(), false)
                .await
                .map(drop);
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
