//! A place for mounts that nobody else is to see.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::Mode;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::SysError;

/// The state directory's size: a target's record has some hundred bytes, a dataset's configuration
/// at most 256 KiB (what the mounter's channel carries); this holds thousands of typical ones.
const TMPFS_OPTIONS: &std::ffi::CStr = c"mode=0700,size=64m";

/// Mounts a tmpfs at `path` unless there is one already, and cuts it off from other namespaces as
/// far as mounts *inside* it are concerned. The tmpfs itself stays on the node when we end.
pub fn mount_private_tmpfs(path: &Path) -> Result<(), SysError> {
    use std::os::unix::fs::DirBuilderExt;
    let builder = |path: &Path| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
    };
    builder(path).map_err(|error| SysError::on("make", path)(errno_of(&error)))?;
    let mounted = crate::mountinfo::MountTable::read()
        .map_err(|error| SysError::on("read", "/proc/self/mountinfo")(errno_of(&error)))?;
    if mounted
        .top(path)
        .is_none_or(|mount| mount.fs_type != "tmpfs")
    {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("dlf-state", path, "tmpfs", flags, TMPFS_OPTIONS)
            .map_err(SysError::on("mount a tmpfs at", path))?;
    }
    rustix::mount::mount_change(path, MountPropagationFlags::PRIVATE)
        .map_err(SysError::on("make private", path))
}

/// The kernel's number behind an error of the standard library.
#[must_use]
pub fn errno_of(error: &std::io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO)
}

/// Hands out empty directories in a private mount.
#[derive(Debug)]
pub struct Staging {
    directory: PathBuf,
    next: AtomicU64,
}

impl Staging {
    /// Uses `directory`, which has to lie in a private mount, and clears what a driver that was
    /// killed left there.
    pub fn new(directory: PathBuf) -> Result<Self, SysError> {
        let make = |error: std::io::Error| SysError::on("make", &directory)(errno_of(&error));
        std::fs::create_dir_all(&directory).map_err(make)?;
        for entry in std::fs::read_dir(&directory).map_err(make)?.flatten() {
            clear(&entry.path());
        }
        Ok(Self {
            directory,
            next: AtomicU64::new(0),
        })
    }

    /// A fresh directory, unmounted and removed when it is dropped.
    pub fn enter(&self) -> Result<Staged, SysError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(number.to_string());
        rustix::fs::mkdir(&path, Mode::RWXU).map_err(SysError::on("make", &path))?;
        Ok(Staged { path })
    }
}

/// One directory of a [`Staging`].
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
}

impl Staged {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

fn clear(path: &Path) {
    while rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
    if let Err(errno) = rustix::fs::rmdir(path) {
        tracing::warn!(path = %path.display(), %errno, "a staging directory stays behind");
    }
}
