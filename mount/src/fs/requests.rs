//! From the kernel's requests (linux/fuse.h, `fuser::Filesystem`) to operations and back.

mod listing;
mod run;

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use tokio::runtime::Handle;

use super::core::{Core, Entry};
use super::lookup::Looked;
use super::name::NAME_BYTES_MAX;

/// Largest write and largest read, in bytes: the kernel's own limit of 256 pages.
const REQUEST_BYTES_MAX: u32 = 1024 * 1024;

/// Reads ahead and other requests nobody waits for that the kernel keeps under way. With
/// [`REQUEST_BYTES_MAX`] it bounds the memory of answers to 64 MiB.
const BACKGROUND_MAX: u16 = 64;

/// Longest wait for memory before a write is taken over from the kernel. Others wait meanwhile, so it is
/// short: writes that wait for a source that is away must not keep readers for longer.
const ARRIVAL_TIMEOUT: Duration = Duration::from_millis(100);

/// The thread of a request that nobody waits for.
const NOBODY: u32 = 0;

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

    /// What a number of the kernel's stands for.
    fn ino(&self, number: INodeNo) -> u64 {
        self.core.inode(number.0)
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

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (parent, name, core) = (self.ino(parent), name.to_owned(), self.core.clone());
        self.run_bounded(
            request.pid(),
            reply,
            |core| async move { core.lookup(parent, &name).await },
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
        self.core.names().forgot(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.core.entry(self.ino(ino)) {
            Ok(entry) => {
                let (attr, ttl) = self.entry(&entry);
                reply.attr(&ttl, &attr);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        request: &Request,
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
        let (ino, core) = (self.ino(ino), self.core.clone());
        self.run(
            request.pid(),
            reply,
            |core| async move {
                match size {
                    Some(size) => core.truncate(ino, fh.map(|fh| fh.0), size).await?,
                    None => core.check_writable()?,
                }
                core.entry(ino)
            },
            move |reply, entry| {
                let (attr, ttl) = core.attr(&entry);
                reply.attr(&ttl, &attr);
            },
        );
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
        let (parent, name) = (self.ino(parent), name.to_owned());
        let (core, user) = (self.core.clone(), request.uid());
        self.run_bounded(
            request.pid(),
            reply,
            |core| async move { core.mkdir(parent, &name).await },
            move |reply, entry| {
                let (attr, ttl) = core.attr(&core.made_by(entry, user));
                reply.entry(&ttl, &attr, GENERATION);
            },
        );
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (parent, name) = (self.ino(parent), name.to_owned());
        self.run_bounded(
            request.pid(),
            reply,
            |core| async move { core.unlink(parent, &name).await },
            |reply, ()| reply.ok(),
        );
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (parent, name) = (self.ino(parent), name.to_owned());
        self.run_bounded(
            request.pid(),
            reply,
            |core| async move { core.rmdir(parent, &name).await },
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

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(self.core.no_link(ino.0, self.ino(newparent)));
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (parent, name) = (self.ino(parent), name.to_owned());
        let (newparent, newname) = (self.ino(newparent), newname.to_owned());
        self.run(
            request.pid(),
            reply,
            |core| async move {
                core.rename((parent, &name), (newparent, &newname), flags)
                    .await
            },
            |reply, ()| reply.ok(),
        );
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let who = (request.uid(), request.pid());
        self.run_bounded(
            who.1,
            reply,
            |core| async move { core.open(ino.0, flags, who).await },
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
        match self.core.create(self.ino(parent), name, flags) {
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
        request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.run_bounded(
            request.pid(),
            reply,
            |core| async move { core.read(fh.0, offset, size).await },
            |reply, bytes| reply.data(&bytes),
        );
    }

    fn write(
        &self,
        request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let memory = &self.core.room.memory;
        memory.await_arrival(data.len(), ARRIVAL_TIMEOUT);
        let (memory, data) = (memory.arrived(data.len()), Bytes::copy_from_slice(data));
        let length = data.len();
        let from_pages = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        self.run(
            request.pid(),
            reply,
            |core| async move {
                core.write(fh.0, offset, data, from_pages).await?;
                drop(memory);
                u32::try_from(length).map_err(|_| Errno::EINVAL)
            },
            ReplyWrite::written,
        );
    }

    fn flush(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // Taken here, where requests are still in the order in which they were made.
        let (ticket, thread) = (self.core.closes.ticket(), request.pid());
        self.run(
            thread,
            reply,
            |core| async move { core.flush(fh.0, ticket, thread).await },
            |reply, ()| reply.ok(),
        );
    }

    fn fsync(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.run(
            request.pid(),
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
            NOBODY,
            reply,
            |core| async move { core.release(fh.0).await },
            |reply, ()| reply.ok(),
        );
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.core.open_directory(self.ino(ino)) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.read_names(request.pid(), fh.0, offset, reply);
    }

    fn readdirplus(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.read_entries(request.pid(), fh.0, offset, reply);
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
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let size = offset.saturating_add(length);
        self.run(
            request.pid(),
            reply,
            |core| async move { core.allocate(fh.0, size).await },
            |reply, ()| reply.ok(),
        );
    }
}
