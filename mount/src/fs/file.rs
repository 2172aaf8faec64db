//! Open files: opening, reading, writing, closing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fuser::{Errno, FopenFlags, OpenAccMode, OpenFlags};

use super::core::{Core, Entry, Node};
use super::draft::Draft;
use super::inode::Version;
use super::listing::DirEntry;
use super::name;
use super::reader::{Reader, Target};

/// The kernel looks a name up and opens it within one open(2): an answer this young is the
/// look-up's, even where none may be kept.
const OPEN_GRACE: Duration = Duration::from_millis(50);

/// One open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    ino: u64,
    writable: bool,
    /// Opened with `O_CREAT|O_EXCL`.
    exclusive: bool,
    /// What is written through this handle goes there.
    draft: Mutex<Option<Arc<Draft>>>,
    reader: Reader,
}

impl OpenFile {
    fn draft(&self) -> Option<Arc<Draft>> {
        let draft = self.draft.lock();
        draft.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Core {
    /// Opens what an inode stands for.
    ///
    /// `ESTALE` makes the kernel look the name up anew and try again: that is how an open finds
    /// the new version of an object that was replaced.
    pub(crate) async fn open(&self, ino: u64, flags: OpenFlags) -> Result<(u64, FopenFlags), Errno> {
        let writable = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let truncate = flags.0 & TRUNCATE != 0;
        if writable || truncate {
            self.check_writable()?;
        }
        let entry = self.entry(ino)?;
        let draft = match &entry.node {
            Node::Directory => return Err(Errno::EISDIR),
            Node::Draft(draft) if truncate && draft.size() > 0 => return Err(Errno::EBUSY),
            Node::Draft(draft) => writable.then(|| draft.clone()),
            // Others read the old version through this inode's pages: the new one gets another.
            Node::File(_) if truncate && entry.handles > 0 => return Err(self.superseded(ino)),
            Node::File(_) if truncate => Some(self.begin_draft(ino)),
            Node::File(version) => {
                self.revalidate(&entry, version).await?;
                None
            }
        };
        let keep = match draft {
            Some(_) => FopenFlags::empty(),
            // An inode is one version, so its cached pages are right for as long as it lives.
            None => FopenFlags::FOPEN_KEEP_CACHE,
        };
        Ok((self.open_handle(ino, writable, false, draft), keep))
    }

    fn open_handle(
        &self,
        ino: u64,
        writable: bool,
        exclusive: bool,
        draft: Option<Arc<Draft>>,
    ) -> u64 {
        self.inodes().open(ino);
        if let Some(draft) = &draft {
            draft.join();
        }
        self.files.insert(OpenFile {
            ino,
            writable,
            exclusive,
            draft: Mutex::new(draft),
            reader: Reader::default(),
        })
    }

    fn begin_draft(&self, ino: u64) -> Arc<Draft> {
        let settings = self.settings();
        let draft = Arc::new(Draft::new(
            self.draft_memory.clone(),
            settings.source_timeout,
        ));
        let node = Node::Draft(draft.clone());
        self.inodes().set_node(ino, node, Instant::now());
        draft
    }

    /// Makes sure that the source still has this version, if that was not seen lately.
    async fn revalidate(&self, entry: &Entry, version: &Version) -> Result<(), Errno> {
        let settings = self.settings();
        let age = entry.checked.elapsed();
        if settings.revalidate.is_none_or(|limit| age < limit.max(OPEN_GRACE)) {
            return Ok(());
        }
        let key = self.inodes().path(entry.ino).ok_or(Errno::ESTALE)?;
        let asked = Instant::now();
        match self.source.head(&key).await? {
            Some(now) if now.etag == version.etag => {
                self.inodes().confirm(entry.ino, asked);
                Ok(())
            }
            _ => Err(self.superseded(entry.ino)),
        }
    }

    /// The name of this inode stands for something else now: `ESTALE`.
    fn superseded(&self, ino: u64) -> Errno {
        let mut inodes = self.inodes();
        let parent = inodes.parent(ino);
        inodes.detach(ino);
        drop(inodes);
        if let Some(parent) = parent {
            self.listings().invalidate(parent);
        }
        Errno::ESTALE
    }

    /// Makes a file that is not in the source before it is closed.
    pub(crate) fn create(
        &self,
        parent: u64,
        name: &std::ffi::OsStr,
        exclusive: bool,
    ) -> Result<(Entry, u64), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        self.child_key(parent, name)?;
        let settings = self.settings();
        let draft = Arc::new(Draft::new(
            self.draft_memory.clone(),
            settings.source_timeout,
        ));
        let mut inodes = self.inodes();
        if let Some(known) = inodes.child(parent, name) {
            match known.node {
                Node::Directory => return Err(Errno::EISDIR),
                Node::Draft(_) => return Err(Errno::EBUSY),
                Node::File(_) => inodes.detach(known.ino),
            }
        }
        let entry = inodes.enter(parent, name, Node::Draft(draft.clone()), Instant::now());
        drop(inodes);
        let handle = self.open_handle(entry.ino, true, exclusive, Some(draft));
        Ok((entry, handle))
    }

    /// Reads up to `size` bytes; fewer only at the end.
    pub(crate) async fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Bytes, Errno> {
        let file = self.files.get(handle)?;
        let entry = self.entry(file.ino)?;
        let version = match &entry.node {
            Node::Directory => return Err(Errno::EISDIR),
            Node::Draft(draft) => return draft.read(offset, u64::from(size)).await,
            Node::File(version) => version,
        };
        let end = version.size.min(offset.saturating_add(u64::from(size)));
        if offset >= end {
            return Ok(Bytes::new());
        }
        let target = Target {
            key: self.inodes().path(file.ino).ok_or(Errno::ESTALE)?,
            etag: version.etag.clone(),
            size: version.size,
        };
        let read = file
            .reader
            .read(&self.source, &self.readahead, &target, offset..end);
        let answer = read.await;
        if matches!(answer, Err(Errno::ESTALE)) {
            self.superseded(file.ino);
        }
        answer
    }

    /// Appends to a file that is being written; see [`Draft::write`] for the errors.
    pub(crate) async fn write(&self, handle: u64, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.check_writable()?;
        let file = self.files.get(handle)?;
        let draft = self.draft_to_write(&file, offset)?;
        let key = self.inodes().path(file.ino);
        draft
            .write(&self.source, key.as_deref(), offset, data)
            .await
    }

    /// The draft that a write goes to, which may have to begin or to go on after a commit.
    fn draft_to_write(&self, file: &OpenFile, offset: u64) -> Result<Arc<Draft>, Errno> {
        let entry = self.entry(file.ino)?;
        match (&entry.node, file.draft()) {
            (Node::Draft(current), Some(own)) if Arc::ptr_eq(current, &own) => Ok(own),
            (Node::Draft(current), None) => Ok(self.join_draft(file, current.clone())),
            (Node::File(_), Some(own)) => {
                let node = Node::Draft(own.clone());
                self.inodes().set_node(file.ino, node, Instant::now());
                Ok(own)
            }
            (Node::File(version), None) if version.size == 0 && offset == 0 => {
                let draft = self.begin_draft(file.ino);
                Ok(self.join_draft(file, draft))
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    fn join_draft(&self, file: &OpenFile, draft: Arc<Draft>) -> Arc<Draft> {
        draft.join();
        let mut own = file.draft.lock().unwrap_or_else(PoisonError::into_inner);
        *own = Some(draft.clone());
        draft
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
        self.join_draft(&file, draft);
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
        let key = self.inodes().path(file.ino);
        let committed = draft
            .commit(&self.source, key.as_deref(), file.exclusive)
            .await?;
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
        let file = self.files.remove(handle)?;
        let result = match file.draft() {
            Some(draft) if draft.leave() => self.finish(&file, &draft).await,
            _ => Ok(()),
        };
        self.inodes().close(file.ino);
        result
    }

    /// Nobody writes to the draft any more: commit it, or fall back to what the source has.
    async fn finish(&self, file: &OpenFile, draft: &Arc<Draft>) -> Result<(), Errno> {
        let result = self.commit(file, draft).await;
        if let Err(errno) = &result {
            tracing::warn!(?errno, "a file could not be written when it was closed");
            draft.abandon(&self.source).await;
            self.superseded(file.ino);
        }
        result
    }

    /// Ends the uploads of files that are still open: what is half-written never appears.
    pub(crate) async fn abandon_drafts(&self) {
        for file in self.files.all() {
            if let Some(draft) = file.draft() {
                draft.abandon(&self.source).await;
            }
        }
    }
}

/// `O_TRUNC` as the kernel passes it.
const TRUNCATE: i32 = rustix::fs::OFlags::TRUNC.bits().cast_signed();
