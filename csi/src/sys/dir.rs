//! Directories opened beneath another one, never through a symbolic link.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::SysError;

/// `openat2` says EAGAIN when a rename elsewhere raced with it and it cannot prove that the path
/// stayed beneath; the kernel's documentation asks to try again. Renames come in bursts at most.
const RACES_MAX: usize = 32;

/// Enough to walk through and to mount on, and opening it asks nothing of its file system.
const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Mode of directories that only lead to another one.
const PARENT_MODE: Mode = Mode::from_raw_mode(0o755);

/// Opens a directory by a path that nobody but root can change.
pub fn open_trusted(path: &Path) -> Result<OwnedFd, SysError> {
    rustix::fs::open(path, PATH_ONLY | OFlags::NOFOLLOW, Mode::empty())
        .map_err(SysError::on("open", path))
}

/// Opens `relative` beneath `base`; ELOOP for a symbolic link, EXDEV for a way out.
pub fn open_beneath(base: BorrowedFd<'_>, relative: &Path) -> Result<OwnedFd, SysError> {
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut races = 0;
    loop {
        match rustix::fs::openat2(base, relative, PATH_ONLY, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if races < RACES_MAX => races += 1,
            result => return result.map_err(SysError::on("open", relative)),
        }
    }
}

/// Opens `relative` beneath `base` and makes what is missing of it; true when it made the last
/// directory, whose mode is then exactly `last_mode`.
pub fn make_beneath(
    base: BorrowedFd<'_>,
    relative: &Path,
    last_mode: Mode,
) -> Result<(OwnedFd, bool), SysError> {
    let mut here = open_beneath(base, Path::new(""))?;
    let mut made = false;
    for part in relative.components() {
        let Component::Normal(name) = part else {
            return Err(SysError::on("make", relative)(Errno::INVAL));
        };
        made = match rustix::fs::mkdirat(&here, name, PARENT_MODE) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(SysError::on("make", relative)(errno)),
        };
        here = open_beneath(here.as_fd(), Path::new(name))?;
    }
    if made {
        // Not through mkdir, whose mode the process's umask cuts. `chmod` on an O_PATH descriptor
        // needs the detour through /proc.
        rustix::fs::chmodat(CWD, fd_path(here.as_fd()), last_mode, AtFlags::empty())
            .map_err(SysError::on("set the mode of", relative))?;
    }
    Ok((here, made))
}

/// A path that reaches an open directory whatever happens to the names that led to it.
#[must_use]
pub fn fd_path(directory: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", directory.as_raw_fd())
}

/// A directory entry by its parent: how to name what may be a mount point without entering it.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The directory that holds it.
    pub parent: OwnedFd,
    /// Its name there.
    pub name: &'a OsStr,
}

impl<'a> Entry<'a> {
    /// Finds the parent of `relative` beneath `base`.
    pub fn find(base: BorrowedFd<'_>, relative: &'a Path) -> Result<Self, SysError> {
        let name = relative
            .file_name()
            .ok_or_else(|| SysError::on("open", relative)(Errno::INVAL))?;
        let parent = relative.parent().unwrap_or(Path::new(""));
        Ok(Self {
            parent: open_beneath(base, parent)?,
            name,
        })
    }

    /// Makes the directory unless it is there.
    pub fn make(&self, mode: Mode) -> Result<(), SysError> {
        match rustix::fs::mkdirat(&self.parent, self.name, mode) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(SysError::on("make", self.name)(errno)),
        }
    }

    /// Opens what one sees under this name: the root of the topmost mount there.
    pub fn open(&self) -> Result<OwnedFd, SysError> {
        open_beneath(self.parent.as_fd(), Path::new(self.name))
    }

    /// Removes the empty directory, or finds it gone.
    pub fn remove(&self) -> Result<(), SysError> {
        match rustix::fs::unlinkat(&self.parent, self.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(SysError::on("remove", self.name)(errno)),
        }
    }
}
