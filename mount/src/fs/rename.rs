//! Renaming: copying within the source, and deleting.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use fuser::{Errno, RenameFlags};
use futures::{StreamExt, TryStreamExt, stream};

use super::body::Body;
use super::core::{Core, Node};
use super::name;
use super::names::{Renewed, Version};
use super::source::{PutCondition, Source};

/// Copies under way at once when a directory is renamed: hides the source's latency without
/// crowding out other requests.
const COPIES_MAX: usize = 16;

/// A name in a directory, and its key.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: u64,
    name: &'a str,
    key: &'a str,
}

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
        let names = (name::component(from.1)?, name::component(to.1)?);
        let (from_key, to_key) = (
            self.child_key(from.0, names.0)?,
            self.child_key(to.0, names.1)?,
        );
        let from = Place {
            parent: from.0,
            name: names.0,
            key: &from_key,
        };
        let to = Place {
            parent: to.0,
            name: names.1,
            key: &to_key,
        };
        // Nothing that is written below either comes in between.
        let below = [format!("{from_key}/"), format!("{to_key}/")];
        let keys = below.into_iter().chain([from_key.clone(), to_key.clone()]);
        let _lock = self.lock(keys.collect()).await;
        let (node, target) = tokio::join!(self.node_at(from), self.node_at(to));
        let (node, target) = (node?.ok_or(Errno::ENOENT)?, target?);
        if target.is_some() && flags.contains(RenameFlags::RENAME_NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        match (&node, &target) {
            (Node::Directory, Some(Node::Directory)) => {
                let prefix = format!("{to_key}/");
                self.check_empty(to.parent, to.name, &prefix).await?;
            }
            (Node::Directory, Some(_)) => return Err(Errno::ENOTDIR),
            (_, Some(Node::Directory)) => return Err(Errno::EISDIR),
            (_, Some(Node::Written(_) | Node::File(_)) | None) => {}
        }
        let moved = match &node {
            Node::Directory => {
                let renewed = self.move_directory(from, to).await?;
                self.names().renewed(renewed);
                None
            }
            Node::File(version) => Some(self.move_file(from.key, version, to.key).await?),
            Node::Written(body) => self.move_written(body, from.key, to.key).await?,
        };
        let (from_place, to_place) = ((from.parent, from.name), (to.parent, to.name));
        self.names()
            .renamed(from_place, to_place, moved, Instant::now());
        let ticket = self.closes.ticket();
        self.closes.changed(from.key, ticket);
        self.closes.changed(to.key, ticket);
        if matches!(node, Node::Directory) {
            let moved = self.names().child(to.parent, to.name);
            if let Some(directory) = moved {
                self.show_all_below(directory.ino).await;
            }
        }
        Ok(())
    }

    async fn node_at(&self, place: Place<'_>) -> Result<Option<Node>, Errno> {
        let known = self.names().child(place.parent, place.name);
        if let Some(Node::Written(body)) = known.as_ref().map(|entry| &entry.node) {
            return Ok(Some(Node::Written(body.clone())));
        }
        match (self.ask(place.key).await?, known) {
            (Some(Node::File(now)), Some(known)) if matches!(&known.node, Node::File(before) if before.etag != now.etag) =>
            {
                // Whoever has it open does not go on with another version. The kernel looks the
                // name up anew and tries again.
                Err(self.superseded(known.ino))
            }
            // A directory that this mount has emptied is in the source no more.
            (None, Some(known)) if matches!(known.node, Node::Directory) => Ok(Some(known.node)),
            (found, _) => Ok(found),
        }
    }

    /// Copies a version to another key, and deletes it where it was: it, and not what others may
    /// have put there meanwhile.
    async fn move_file(&self, from: &str, version: &Version, to: &str) -> Result<Version, Errno> {
        let copied = self.source.copy(from, version, to).await?;
        match self.source.delete_version(from, version).await {
            Ok(()) | Err(Errno::ESTALE) => Ok(copied),
            Err(errno) => Err(errno),
        }
    }

    /// A file that is being written goes to its new name when it is closed: `None`. What it began as
    /// has to move with it as long as it holds any byte of that.
    async fn move_written(
        &self,
        body: &Arc<Body>,
        from: &str,
        to: &str,
    ) -> Result<Option<Version>, Errno> {
        if body.is_only_sent().await {
            return Err(Errno::EBUSY);
        }
        let mut version = body.version().await;
        if version.is_none() && body.needs_base().await {
            let committed = body.commit(&self.source, from).await?;
            version = committed.map(|committed| committed.version);
        }
        let Some(version) = version else {
            // It was to take the place of what may be there.
            self.source.delete(from).await?;
            return Ok(None);
        };
        let moved = self.move_file(from, &version, to).await?;
        body.moved(&version.etag, &moved.etag).await;
        Ok(Some(moved))
    }

    /// Moves a directory's objects; returns what became of those that are known, since a copy may
    /// be another version.
    async fn move_directory(&self, from: Place<'_>, to: Place<'_>) -> Result<Vec<Renewed>, Errno> {
        let known = self.names().child(from.parent, from.name);
        let directory = known.map(|entry| entry.ino);
        let written = directory.map(|ino| self.names().written_below(ino));
        let written = written.unwrap_or_default();
        for (ino, body) in &written {
            if body.is_only_sent().await {
                return Err(Errno::EBUSY);
            }
            // Its bytes move with the directory's other objects.
            let path = self.names().path(*ino);
            if let Some(key) = path.filter(|_| !body.was_refused())
                && body.needs_base().await
            {
                body.commit(&self.source, &key).await?;
            }
        }
        let (from, to) = (format!("{}/", from.key), format!("{}/", to.key));
        self.check_lengths(&from, &to).await?;
        // Only what was copied is deleted: what others add meanwhile stays where they put it.
        let (mut pages, mut renewed) = (Pages::new(&from), Vec::new());
        while let Some(objects) = pages.next(&self.source).await? {
            for (index, etag) in self.copy_page(&objects, &from, &to).await? {
                let (key, version) = &objects[index];
                let path = key.strip_prefix(&from).unwrap_or_default();
                let known = directory.and_then(|ino| self.names().find_below(ino, path));
                for (_, body) in written.iter().filter(|(ino, _)| Some(*ino) == known) {
                    body.moved(&version.etag, &etag).await;
                }
                renewed.extend(known.map(|ino| Renewed {
                    ino,
                    from: version.etag.clone(),
                    to: etag,
                }));
            }
            let unchanged = pages.unchanged(&self.source, objects).await?;
            self.source.delete_many(&unchanged).await?;
        }
        Ok(renewed)
    }

    /// Copies a page of a directory's objects; gives the index of each and its new version.
    ///
    /// What marks a directory is there before what lies in it: a store with directories of its own makes
    /// one for the first file, and may lose a mark that comes in that very moment (`SeaweedFS` 4.48, one of
    /// sixty).
    async fn copy_page(
        &self,
        objects: &[(String, Version)],
        from: &str,
        to: &str,
    ) -> Result<Vec<(usize, Arc<str>)>, Errno> {
        let rank = |index: &usize| match &objects[*index].0 {
            mark if mark.ends_with('/') => mark.matches('/').count(),
            _ => usize::MAX,
        };
        let mut order: Vec<usize> = (0..objects.len()).collect();
        order.sort_by_key(rank);
        let mut all = Vec::with_capacity(order.len());
        for together in order.chunk_by(|one, other| rank(one) == rank(other)) {
            // Collected first: a stream over borrowing closures would not be `Send`.
            let copies: Vec<_> = together
                .iter()
                .map(|index| {
                    let (key, version) = &objects[*index];
                    self.copy_to(key, version, from, to)
                })
                .collect();
            let copies = stream::iter(copies).buffered(COPIES_MAX);
            let etags: Vec<_> = copies.try_collect().await?;
            all.extend(together.iter().copied().zip(etags));
        }
        Ok(all)
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
            let empty = bytes::Bytes::new();
            return self.source.put(&target, empty, PutCondition::None).await;
        }
        let copied = self.source.copy(key, version, &target).await?;
        Ok(copied.etag)
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
    /// Where the page at hand began.
    continuation: Option<String>,
    next: Option<String>,
    over: bool,
}

impl<'a> Pages<'a> {
    fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            continuation: None,
            next: None,
            over: false,
        }
    }

    async fn next(&mut self, source: &Source) -> Result<Option<Vec<(String, Version)>>, Errno> {
        if self.over {
            return Ok(None);
        }
        self.continuation = self.next.take();
        let page = source
            .keys(self.prefix, self.continuation.clone(), None)
            .await?;
        self.over = page.next.is_none();
        self.next = page.next;
        Ok(Some(page.objects))
    }

    /// The keys of the page at hand that are still the same versions.
    async fn unchanged(
        &self,
        source: &Source,
        objects: Vec<(String, Version)>,
    ) -> Result<Vec<String>, Errno> {
        let (mut now, mut continuation) = (HashMap::new(), self.continuation.clone());
        let last = objects.last().map(|(key, _)| key.clone());
        loop {
            let page = source.keys(self.prefix, continuation, None).await?;
            let seen = page.objects.last().map(|(key, _)| key.clone());
            now.extend(page.objects);
            continuation = page.next;
            // New objects push others to the next page.
            if continuation.is_none() || seen >= last {
                break;
            }
        }
        let unchanged = objects.into_iter().filter(|(key, version)| {
            let now = now.get(key);
            now.is_some_and(|now| now.etag == version.etag)
        });
        Ok(unchanged.map(|(key, _)| key).collect())
    }
}
