//! Open files: opening, making and reading them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fuser::{Errno, FopenFlags, OpenAccMode, OpenFlags};

use super::core::{Core, Entry, Node};
use super::draft::Draft;
use super::inode::Version;
use super::name;
use super::reader::Reader;
use super::source::Target;

/// The kernel looks a name up and opens it within one open(2): an answer this young is the
/// look-up's, even where none may be kept.
const OPEN_GRACE: Duration = Duration::from_millis(50);

/// One open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(super) ino: u64,
    pub(super) writable: bool,
    /// Opened with `O_CREAT|O_EXCL`.
    pub(super) exclusive: bool,
    /// What is written through this handle goes there.
    pub(super) draft: Mutex<Option<Arc<Draft>>>,
    reader: Reader,
}

impl OpenFile {
    pub(super) fn draft(&self) -> Option<Arc<Draft>> {
        let draft = self.draft.lock();
        draft.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Core {
    /// Opens what an inode stands for.
    ///
    /// `ESTALE` makes the kernel look the name up anew and try again: that is how an open finds
    /// the new version of an object that was replaced.
    pub(crate) async fn open(
        &self,
        ino: u64,
        flags: OpenFlags,
        user: u32,
    ) -> Result<(u64, FopenFlags), Errno> {
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
            Node::File(_) if truncate => {
                self.made_by(entry, user);
                Some(self.begin_draft(ino))
            }
            Node::File(version) => {
                self.revalidate(&entry, version).await?;
                None
            }
        };
        let mut answer = FopenFlags::empty();
        if draft.is_none() {
            // An inode is one version, so its cached pages are right for as long as it lives.
            answer |= FopenFlags::FOPEN_KEEP_CACHE;
        }
        if !writable {
            // There is nothing to report at close: a request less for each file read.
            answer |= FopenFlags::FOPEN_NOFLUSH;
        }
        Ok((self.open_handle(ino, writable, false, draft), answer))
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

    pub(super) fn begin_draft(&self, ino: u64) -> Arc<Draft> {
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
        if settings
            .revalidate
            .is_none_or(|limit| age < limit.max(OPEN_GRACE))
        {
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
    pub(super) fn superseded(&self, ino: u64) -> Errno {
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
}

/// `O_TRUNC` as the kernel passes it.
const TRUNCATE: i32 = rustix::fs::OFlags::TRUNC.bits().cast_signed();
