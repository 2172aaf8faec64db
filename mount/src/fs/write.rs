//! Writing to open files, and closing them.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use fuser::Errno;

use super::core::{Core, Node};
use super::draft::Draft;
use super::file::OpenFile;
use super::inode::Version;
use super::listing::DirEntry;

impl Core {
    /// Appends to a file that is being written; see [`Draft::write`] for the errors.
    pub(crate) async fn write(&self, handle: u64, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.check_writable()?;
        let file = self.files.get(handle)?;
        let draft = self.draft_to_write(&file, offset)?;
        let key = || self.inodes().path(file.ino);
        draft.write(&self.source, key, offset, data).await
    }

    /// The draft that a write goes to, which may have to begin or to go on after a commit.
    fn draft_to_write(&self, file: &OpenFile, offset: u64) -> Result<Arc<Draft>, Errno> {
        let entry = self.entry(file.ino)?;
        match (&entry.node, file.draft()) {
            (Node::Draft(current), Some(own)) if Arc::ptr_eq(current, &own) => Ok(own),
            (Node::Draft(current), None) => Ok(join_draft(file, current.clone())),
            (Node::File(_), Some(own)) => {
                let node = Node::Draft(own.clone());
                self.inodes().set_node(file.ino, node, Instant::now());
                Ok(own)
            }
            (Node::File(version), None) if version.size == 0 && offset == 0 => {
                let draft = self.begin_draft(file.ino);
                Ok(join_draft(file, draft))
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// `ftruncate`, of which only what changes nothing, or empties a file nobody else has open, is
    /// there yet.
    pub(crate) fn truncate(&self, ino: u64, handle: Option<u64>, size: u64) -> Result<(), Errno> {
        self.check_writable()?;
        let entry = self.entry(ino)?;
        let current = match &entry.node {
            Node::Directory => return Err(Errno::EISDIR),
            Node::File(version) => version.size,
            Node::Draft(draft) => draft.size(),
        };
        if size == current {
            return Ok(());
        }
        let Some(handle) = handle else {
            return Err(Errno::EOPNOTSUPP);
        };
        let file = self.files.get(handle)?;
        let alone = entry.handles == 1 && matches!(entry.node, Node::File(_));
        if size > 0 || !alone || !file.writable || file.draft().is_some() {
            return Err(Errno::EOPNOTSUPP);
        }
        let draft = self.begin_draft(ino);
        join_draft(&file, draft);
        Ok(())
    }

    /// One of the descriptors was closed. An empty new file is left to the last one: a shell closes
    /// one before the command behind `>` has written anything.
    pub(crate) async fn flush(&self, handle: u64) -> Result<(), Errno> {
        let file = self.files.get(handle)?;
        match file.draft() {
            Some(draft) if draft.size() > 0 => self.commit(&file, &draft).await,
            _ => Ok(()),
        }
    }

    /// Makes the source have what was written.
    pub(crate) async fn fsync(&self, handle: u64) -> Result<(), Errno> {
        let file = self.files.get(handle)?;
        match file.draft() {
            Some(draft) => self.commit(&file, &draft).await,
            None => Ok(()),
        }
    }

    async fn commit(&self, file: &OpenFile, draft: &Arc<Draft>) -> Result<(), Errno> {
        let key = || self.inodes().path(file.ino);
        let committed = draft.commit(&self.source, key, file.exclusive).await?;
        if let Some(version) = committed {
            self.committed(file.ino, draft, version);
        }
        Ok(())
    }

    fn committed(&self, ino: u64, draft: &Arc<Draft>, version: Version) {
        let mut inodes = self.inodes();
        let ours = inodes.get(ino).is_some_and(
            |entry| matches!(&entry.node, Node::Draft(current) if Arc::ptr_eq(current, draft)),
        );
        if !ours || version.size != draft.size() {
            return;
        }
        inodes.set_node(ino, Node::File(version.clone()), Instant::now());
        let place = inodes.place(ino);
        drop(inodes);
        if let Some((parent, name)) = place {
            let entry = DirEntry {
                name: name.clone(),
                version: Some(version),
            };
            self.listings().update(parent, &name, Some(entry));
        }
    }

    /// The last descriptor was closed.
    pub(crate) async fn release(&self, handle: u64) -> Result<(), Errno> {
        let file = self.files.get(handle)?;
        let result = match file.draft() {
            Some(draft) if draft.leave() => self.finish(&file, &draft).await,
            _ => Ok(()),
        };
        self.inodes().close(file.ino);
        // Only now, so that the end of the mount waits for it.
        self.files.remove(handle)?;
        result
    }

    /// Nobody writes to the draft any more: commit it, or fall back to what the source has.
    async fn finish(&self, file: &OpenFile, draft: &Arc<Draft>) -> Result<(), Errno> {
        // What a program was told has failed does not appear after all.
        let result = if draft.was_refused().await {
            Err(Errno::EIO)
        } else {
            self.commit(file, draft).await
        };
        if let Err(errno) = &result {
            tracing::warn!(?errno, "a file was closed that could not be written");
            draft.abandon(&self.source).await;
            self.superseded(file.ino);
        }
        result
    }

    /// Waits for what was closed, and gives up what is still open: half a file never appears.
    pub(crate) async fn finish_all(&self) {
        for file in self.files.all() {
            match file.draft() {
                Some(draft) if draft.is_closed() => {
                    if let Err(errno) = self.commit(&file, &draft).await {
                        tracing::warn!(?errno, "a file could not be written at the end");
                    }
                }
                Some(draft) => draft.abandon(&self.source).await,
                None => {}
            }
        }
    }
}

fn join_draft(file: &OpenFile, draft: Arc<Draft>) -> Arc<Draft> {
    draft.join();
    let mut own = file.draft.lock().unwrap_or_else(PoisonError::into_inner);
    *own = Some(draft.clone());
    draft
}
