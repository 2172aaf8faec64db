//! From the kernel's requests (linux/fuse.h, `fuser::Filesystem`) to operations and back.

mod listing;

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use tokio::runtime::Handle;

use super::OPERATION_SLACK;
use super::core::{Core, Entry, Looked};
use super::name::NAME_BYTES_MAX;
use super::reply::Refuse;

/// Largest write and largest read, in bytes: the kernel's own limit of 256 pages.
const REQUEST_BYTES_MAX: u32 = 1024 * 1024;

/// Reads ahead and other requests nobody waits for that the kernel keeps under way. With
/// [`REQUEST_BYTES_MAX`] it bounds the memory of answers to 64 MiB.
const BACKGROUND_MAX: u16 = 64;

/// An inode number is never used twice.
const GENERATION: Generation = Generation(0);

/// A bucket has no size: a petabyte is more than anything checks for.
const STATFS_BLOCKS: u64 = 1024 * 1024 * 1024;

const STATFS_FILES: u64 = u32::MAX as u64;

#[derive(Debug)]
pub(super) struct Requests {
    core: Arc<Core>,
    runtime: Handle,
}

impl Requests {
    pub(super) fn new(core: Arc<Core>, runtime: Handle) -> Self {
        Self { core, runtime }
    }

    /// Runs an operation that ends by itself.
    fn run<R: Refuse, T: Send, F>(
        &self,
        reply: R,
        operation: impl FnOnce(Arc<Core>) -> F,
        answer: impl FnOnce(R, T) + Send + 'static,
    ) where
        F: Future<Output = Result<T, Errno>> + Send + 'static,
    {
        let operation = operation(self.core.clone());
        self.runtime.spawn(async move {
            match operation.await {
                Ok(done) => answer(reply, done),
                Err(errno) => reply.refuse(errno),
            }
        });
    }

    /// Runs an operation that is a bounded number of small requests: `EIO` when all together take
    /// longer than one may.
    fn run_bounded<R: Refuse, T: Send, F>(
        &self,
        reply: R,
        operation: impl FnOnce(Arc<Core>) -> F,
        answer: impl FnOnce(R, T) + Send + 'static,
    ) where
        F: Future<Output = Result<T, Errno>> + Send + 'static,
    {
        let limit = self.core.settings().source_timeout + OPERATION_SLACK;
        self.run(
            reply,
            |core| {
                let operation = operation(core);
                // Inside: a timer can be made only where the runtime is.
                async move {
                    let limited = tokio::time::timeout(limit, operation);
                    limited.await.unwrap_or(Err(Errno::EIO))
                }
            },
            answer,
        );
    }

    fn entry(&self, entry: &Entry) -> (fuser::FileAttr, Duration) {
        self.core.attr(entry)
    }
}

impl Filesystem for Requests {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What an older kernel lacks, it does without.
        for wanted in [
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ASYNC_DIO,
        ] {
            if config.add_capabilities(wanted).is_err() {
                tracing::debug!(?wanted, "the kernel does not have it");
            }
        }
        // A refused value comes back as the nearest possible one, and both are good enough.
        let _ = config.set_max_write(REQUEST_BYTES_MAX);
        let _ = config.set_max_background(BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (name, core) = (name.to_owned(), self.core.clone());
        self.run_bounded(
            reply,
            |core| async move { core.lookup(parent.0, &name).await },
            move |reply, looked| match looked {
                Looked::Found(entry) => {
                    let (attr, ttl) = core.attr(&entry);
                    reply.entry(&ttl, &attr, GENERATION);
                    core.trim();
                }
                Looked::Absent(ttl) if ttl.is_zero() => reply.error(Errno::ENOENT),
                // Inode 0 is a "no" that the kernel may keep.
                Looked::Absent(ttl) => {
                    let nothing = core.settings().file_attr(0, 0, SystemTime::UNIX_EPOCH);
                    reply.entry(&ttl, &nothing, GENERATION);
                }
            },
        );
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.core.inodes().forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.core.entry(ino.0) {
            Ok(entry) => {
                let (attr, ttl) = self.entry(&entry);
                reply.attr(&ttl, &attr);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = match size {
            Some(size) => self.core.truncate(ino.0, fh.map(|fh| fh.0), size),
            None => self.core.check_writable(),
        };
        match changed.and_then(|()| self.core.entry(ino.0)) {
            Ok(entry) => {
                let (attr, ttl) = self.entry(&entry);
                reply.attr(&ttl, &attr);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EPERM);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let (name, core, user) = (name.to_owned(), self.core.clone(), request.uid());
        self.run_bounded(
            reply,
            |core| async move { core.mkdir(parent.0, &name).await },
            move |reply, entry| {
                let (attr, ttl) = core.attr(&core.made_by(entry, user));
                reply.entry(&ttl, &attr, GENERATION);
            },
        );
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.run_bounded(
            reply,
            |core| async move { core.unlink(parent.0, &name).await },
            |reply, ()| reply.ok(),
        );
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.run_bounded(
            reply,
            |core| async move { core.rmdir(parent.0, &name).await },
            |reply, ()| reply.ok(),
        );
    }

    fn symlink(
        &self,
        _: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _target: &Path,
        reply: ReplyEntry,
    ) {
        reply.error(Errno::EPERM);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, newname) = (name.to_owned(), newname.to_owned());
        self.run(
            reply,
            |core| async move {
                core.rename((parent.0, &name), (newparent.0, &newname), flags)
                    .await
            },
            |reply, ()| reply.ok(),
        );
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let user = request.uid();
        self.run_bounded(
            reply,
            |core| async move { core.open(ino.0, flags, user).await },
            |reply, (handle, flags)| reply.opened(FileHandle(handle), flags),
        );
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let exclusive = flags & rustix::fs::OFlags::EXCL.bits().cast_signed() != 0;
        match self.core.create(parent.0, name, exclusive) {
            Ok((entry, handle)) => {
                let (attr, ttl) = self.entry(&self.core.made_by(entry, request.uid()));
                let handle = FileHandle(handle);
                reply.created(&ttl, &attr, GENERATION, handle, FopenFlags::empty());
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.run_bounded(
            reply,
            |core| async move { core.read(fh.0, offset, size).await },
            |reply, bytes| reply.data(&bytes),
        );
    }

    fn write(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        self.run(
            reply,
            |core| async move {
                core.write(fh.0, offset, &data).await?;
                u32::try_from(data.len()).map_err(|_| Errno::EINVAL)
            },
            ReplyWrite::written,
        );
    }

    fn flush(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        self.run(
            reply,
            |core| async move { core.flush(fh.0).await },
            |reply, ()| reply.ok(),
        );
    }

    fn fsync(&self, _: &Request, _: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.run(
            reply,
            |core| async move { core.fsync(fh.0).await },
            |reply, ()| reply.ok(),
        );
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.run(
            reply,
            |core| async move { core.release(fh.0).await },
            |reply, ()| reply.ok(),
        );
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.core.open_directory(ino.0) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, fh: FileHandle, offset: u64, reply: ReplyDirectory) {
        self.read_names(fh.0, offset, reply);
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.read_entries(fh.0, offset, reply);
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        match self.core.release_directory(fh.0) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let names = u32::try_from(NAME_BYTES_MAX).unwrap_or(u32::MAX);
        reply.statfs(
            STATFS_BLOCKS,
            STATFS_BLOCKS,
            STATFS_BLOCKS,
            STATFS_FILES,
            STATFS_FILES,
            REQUEST_BYTES_MAX,
            names,
            REQUEST_BYTES_MAX,
        );
    }

    // The kernel takes ENOSYS for "never ask again": it answers EOPNOTSUPP to attributes, grants
    // access (modes are checked by the mount option `default_permissions`, where there is an umask)
    // and seeks by itself.

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn setxattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: &[u8],
        _: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn lseek(&self, _: &Request, _: INodeNo, _: FileHandle, _: i64, _: i32, reply: ReplyLseek) {
        reply.error(Errno::ENOSYS);
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EOPNOTSUPP);
    }
}
