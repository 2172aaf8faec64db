//! Renaming: copying within the source, and deleting.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use fuser::{Errno, RenameFlags};

use super::body::Body;
use super::core::{Core, Node};
use super::key::Key;
use super::moves::Pages;
use super::name;
use super::names::{Renewed, Version};
use super::source::Source;

/// A name in a directory, and its key.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: u64,
    name: &'a str,
    key: &'a Key,
}

impl Core {
    /// Renames by copying within the source and deleting.
    ///
    /// What is at the new name is replaced at once if it is a file; a directory must be empty.
    /// A directory moves a page of objects at a time: if that fails half-way, each object is at one
    /// of the two places or at both. `EXDEV` from one root to another.
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
        if !Arc::ptr_eq(from_key.root(), to_key.root()) {
            return Err(Errno::EXDEV);
        }
        let source = self.source.of(from_key.root());
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
        let below = [from_key.followed_by("/"), to_key.followed_by("/")];
        let keys = below.into_iter().chain([from_key.clone(), to_key.clone()]);
        let _lock = self.lock(keys.collect()).await;
        let (node, target) = tokio::join!(self.node_at(from), self.node_at(to));
        let (node, target) = (node?.ok_or(Errno::ENOENT)?, target?);
        if target.is_some() && flags.contains(RenameFlags::RENAME_NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        match (&node, &target) {
            (Node::Directory, Some(Node::Directory)) => {
                let prefix = to_key.followed_by("/");
                self.check_empty(to.parent, to.name, &prefix).await?;
            }
            (Node::Directory, Some(_)) => return Err(Errno::ENOTDIR),
            (_, Some(Node::Directory)) => return Err(Errno::EISDIR),
            (_, Some(Node::Written(_) | Node::File(_)) | None) => {}
        }
        let moved = match &node {
            Node::Directory => {
                let renewed = self.move_directory(&source, from, to).await?;
                self.names().renewed(renewed);
                None
            }
            Node::File(version) => {
                let (from, to) = (from.key.within(), to.key.within());
                Some(source.move_file(from, version, to).await?)
            }
            Node::Written(body) => {
                self.move_written(&source, body, from.key.within(), to.key.within())
                    .await?
            }
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

    /// A file that is being written goes to its new name when it is closed: `None`. What it began as
    /// has to move with it as long as it holds any byte of that.
    async fn move_written(
        &self,
        source: &Source,
        body: &Arc<Body>,
        from: &str,
        to: &str,
    ) -> Result<Option<Version>, Errno> {
        if body.is_only_sent().await {
            return Err(Errno::EBUSY);
        }
        let mut version = body.version().await;
        if version.is_none() && body.needs_base().await {
            let committed = body.commit(source, from).await?;
            version = committed.map(|committed| committed.version);
        }
        let Some(version) = version else {
            // It was to take the place of what may be there.
            source.delete(from).await?;
            return Ok(None);
        };
        let moved = source.move_file(from, &version, to).await?;
        body.moved(&version.etag, &moved.etag).await;
        Ok(Some(moved))
    }

    /// Moves a directory's objects; returns what became of those that are known, since a copy may
    /// be another version.
    async fn move_directory(
        &self,
        source: &Source,
        from: Place<'_>,
        to: Place<'_>,
    ) -> Result<Vec<Renewed>, Errno> {
        let known = self.names().child(from.parent, from.name);
        let directory = known.map(|entry| entry.ino);
        let written = directory.map(|ino| self.names().written_below(ino));
        let written = written.unwrap_or_default();
        for (ino, body) in &written {
            if body.is_only_sent().await {
                return Err(Errno::EBUSY);
            }
            // Its bytes move with the directory's other objects.
            let key = self.names().key(*ino);
            if let Some(key) = key.filter(|_| !body.was_refused())
                && body.needs_base().await
            {
                body.commit(source, key.within()).await?;
            }
        }
        let longest = self.key_bytes_max(to.key.root());
        let (from, to) = (from.key.within(), to.key.within());
        let (from, to) = (format!("{from}/"), format!("{to}/"));
        source.check_lengths(&from, &to, longest).await?;
        // Only what was copied is deleted: what others add meanwhile stays where they put it.
        let (mut pages, mut renewed) = (Pages::new(&from), Vec::new());
        while let Some(objects) = pages.next(source).await? {
            for (index, etag) in source.copy_page(&objects, &from, &to).await? {
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
            let unchanged = pages.unchanged(source, objects).await?;
            source.delete_many(&unchanged).await?;
        }
        Ok(renewed)
    }
}
