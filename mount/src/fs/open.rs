//! Opening, making and reading files.

use std::ffi::OsStr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dlf_cache::Reader;
use fuser::{Errno, FopenFlags, OpenAccMode, OpenFlags};

use super::body::Body;
use super::core::{Core, Entry, Node};
use super::handles::OpenFile;
use super::name;
use super::names::Version;
use super::source::object;

/// The kernel looks a name up and opens it within one open(2): an answer this young is the
/// look-up's, even where none may be kept.
const OPEN_GRACE: Duration = Duration::from_millis(50);

/// `O_TRUNC`, `O_EXCL` and `O_APPEND` as the kernel passes them.
const TRUNCATE: i32 = rustix::fs::OFlags::TRUNC.bits().cast_signed();
const EXCLUSIVE: i32 = rustix::fs::OFlags::EXCL.bits().cast_signed();
const APPEND: i32 = rustix::fs::OFlags::APPEND.bits().cast_signed();

impl Core {
    /// Opens what an inode stands for.
    ///
    /// `ESTALE` makes the kernel look the name up anew and try again: that is how an open finds
    /// the new version of an object that was replaced, and an inode for writing anew that nobody
    /// else has open.
    pub(crate) async fn open(
        &self,
        ino: u64,
        flags: OpenFlags,
        (user, thread): (u32, u32),
    ) -> Result<(u64, FopenFlags), Errno> {
        let writable = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let truncate = flags.0 & TRUNCATE != 0;
        if writable || truncate {
            self.check_writable()?;
        }
        let mut file = self.handle(ino, flags.0);
        file.writable = writable || truncate;
        if truncate {
            return self.open_anew(file, user, thread);
        }
        let entry = self.entry(ino)?;
        if !entry.named {
            return Err(Errno::ESTALE);
        }
        match &entry.node {
            Node::Directory => return Err(Errno::EISDIR),
            Node::File(version) => self.revalidate(&entry, version).await?,
            // Who writes to it has it as it is; who only reads, as fresh as `revalidate` says.
            Node::Written(body) if !writable => {
                if let Some(version) = body.version().await {
                    self.revalidate(&entry, &version).await?;
                }
            }
            Node::Written(_) => {}
        }
        let mut names = self.names();
        // What it stands for may have changed while the source was asked.
        let node = names.get(ino).ok_or(Errno::ESTALE)?.node;
        let body = match &node {
            Node::Written(body) if writable => Some(body),
            _ => None,
        };
        names.opened(ino, body);
        let shared = names.is_shared(ino, Instant::now());
        drop(names);
        match node {
            Node::Written(body) if writable || shared => file.set_body(body),
            Node::File(version) if shared => file.version = Some(version),
            _ => {}
        }
        Ok((self.files.insert(file), open_flags(writable, shared)))
    }

    /// Opens with `O_TRUNC`: the file begins anew, with a body of its own.
    fn open_anew(
        &self,
        file: OpenFile,
        user: u32,
        thread: u32,
    ) -> Result<(u64, FopenFlags), Errno> {
        let ino = file.ino;
        let mut names = self.names();
        let entry = names.get(ino).ok_or(Errno::ESTALE)?;
        if matches!(entry.node, Node::Directory) {
            return Err(Errno::EISDIR);
        }
        if !names.claims(ino, thread, Instant::now()) {
            return Err(Errno::ESTALE);
        }
        let body = Body::anew(&self.room);
        let contested = names.begun(ino, body.clone());
        names.made_by(ino, user);
        names.opened(ino, Some(&body));
        drop(names);
        file.set_body(body);
        Ok((self.files.insert(file), open_flags(true, contested)))
    }

    pub(super) fn handle(&self, ino: u64, flags: i32) -> OpenFile {
        let source = self.source_of(ino);
        let reader = Reader::new(source.store().clone(), self.room.memory.clone());
        let mut file = OpenFile::new(ino, reader);
        file.append = flags & APPEND != 0;
        file
    }

    /// Makes sure that the source still has this version, if that was not seen lately.
    async fn revalidate(&self, entry: &Entry, version: &Version) -> Result<(), Errno> {
        let revalidate = self.settings().revalidate;
        let age_max = revalidate.map(|limit| limit.max(OPEN_GRACE));
        if self.names().is_fresh(entry.checked, age_max) {
            return Ok(());
        }
        let key = self.names().key(entry.ino).ok_or(Errno::ESTALE)?;
        let asked = Instant::now();
        match self.source.of(key.root()).head(key.within()).await? {
            Some(now) if now.etag == version.etag => {
                self.names().confirmed(entry.ino, asked);
                Ok(())
            }
            _ => Err(self.superseded(entry.ino)),
        }
    }

    /// The name of this inode stands for something else now: `ESTALE`.
    pub(super) fn superseded(&self, ino: u64) -> Errno {
        self.names().superseded(ino);
        self.forget_name(ino);
        Errno::ESTALE
    }

    /// Makes a file that is not in the source before it is closed.
    pub(crate) fn create(
        &self,
        parent: u64,
        name: &OsStr,
        flags: i32,
    ) -> Result<(Entry, u64), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        self.child_key(parent, name)?;
        let exclusive = flags & EXCLUSIVE != 0;
        let body = Body::created(&self.room, exclusive);
        let mut names = self.names();
        match names.child(parent, name).map(|known| known.node) {
            Some(Node::Directory) => return Err(Errno::EISDIR),
            Some(Node::Written(_)) if exclusive => return Err(Errno::EEXIST),
            Some(Node::Written(_) | Node::File(_)) | None => {}
        }
        let entry = names.created(parent, name, body.clone(), Instant::now());
        names.opened(entry.ino, Some(&body));
        drop(names);
        let mut file = self.handle(entry.ino, flags);
        file.writable = true;
        file.set_body(body);
        Ok((entry, self.files.insert(file)))
    }

    /// Reads up to `size` bytes; fewer only at the end.
    pub(crate) async fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Bytes, Errno> {
        let file = self.files.get(handle)?;
        let body = match (file.body(), self.entry(file.ino)?.node) {
            (Some(own), _) => own,
            (None, Node::Written(body)) if file.version.is_none() => body,
            (None, Node::Directory) => return Err(Errno::EISDIR),
            (None, node) => {
                let current = match node {
                    Node::File(version) => Some(version),
                    _ => None,
                };
                let version = file.version.clone().or(current).ok_or(Errno::EIO)?;
                let end = version.size.min(offset.saturating_add(u64::from(size)));
                if offset >= end {
                    return Ok(Bytes::new());
                }
                return self.read_version(&file, version, offset..end).await;
            }
        };
        let fetch = |version, range| self.read_version(&file, version, range);
        body.read(offset, u64::from(size), fetch).await
    }

    async fn read_version(
        &self,
        file: &Arc<OpenFile>,
        version: Version,
        range: Range<u64>,
    ) -> Result<Bytes, Errno> {
        let key = self.names().key(file.ino).ok_or(Errno::ESTALE)?;
        let read = file
            .reader
            .read(&object(key.within(), &version), range)
            .await;
        let answer = read.map_err(|error| self.source.read_errno(&error));
        if matches!(answer, Err(Errno::ESTALE)) {
            self.superseded(file.ino);
        }
        answer
    }
}

fn open_flags(writable: bool, contested: bool) -> FopenFlags {
    let mut flags = FopenFlags::empty();
    if contested {
        // The cached pages belong to several bodies; each handle has its own.
        flags |= FopenFlags::FOPEN_DIRECT_IO;
    } else {
        // An inode is one version, so its cached pages are right for as long as it lives.
        flags |= FopenFlags::FOPEN_KEEP_CACHE;
    }
    if !writable {
        // There is nothing to report at close: a request less for each file read.
        flags |= FopenFlags::FOPEN_NOFLUSH;
    }
    flags
}
