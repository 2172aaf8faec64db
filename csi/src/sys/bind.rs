//! Showing a directory at a pod's target, and taking it away again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use super::SysError;
use super::dir::{Entry, fd_path};
use super::staging::Staging;

/// Repairs put one layer on top of another; more than this many means that something is wrong with
/// our counting, and an endless loop would be worse than an error.
const LAYERS_MAX: usize = 4096;

/// What no volume may bring along, whoever made its files.
const ALWAYS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Binds the directory `source` over whatever is at `target`.
///
/// The flags have to be set before the bind is attached: attaching copies it into the node's
/// namespace, and a later remount would only change our own copy and leave the node's writable. So
/// a first clone gets them at a private place, and a clone of that is attached. The detour also
/// takes it out of the source's peer group: else a repair that binds over one target would
/// propagate to all others.
pub fn bind(
    staging: &Staging,
    source: BorrowedFd<'_>,
    target: &Entry<'_>,
    flags: MountFlags,
) -> Result<(), SysError> {
    let staged = staging.enter()?;
    attach(clone(source)?.as_fd(), &open_path(staged.path())?)
        .map_err(SysError::on("bind at", staged.path()))?;
    rustix::mount::mount_change(staged.path(), MountPropagationFlags::PRIVATE)
        .map_err(SysError::on("make private", staged.path()))?;
    rustix::mount::mount_remount(staged.path(), MountFlags::BIND | ALWAYS | flags, "")
        .map_err(SysError::on("set the flags of", staged.path()))?;
    attach(
        clone(open_path(staged.path())?.as_fd())?.as_fd(),
        &target.open()?,
    )
    .map_err(SysError::on("bind at", target.name))
}

/// Unmounts every layer at `target`; returns how many there were. Does not wait for users, nor for
/// a source that hangs.
pub fn unbind(target: &Entry<'_>) -> Result<usize, SysError> {
    // By the parent's descriptor, so that no part of the path but the last can have been swapped.
    let path = Path::new(&fd_path(target.parent.as_fd())).join(target.name);
    unmount_all(&path)
}

/// Unmounts every layer at `path`, without following a link in its last part.
pub fn unmount_all(path: &Path) -> Result<usize, SysError> {
    for layers in 0..LAYERS_MAX {
        match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // EINVAL: not a mount point (any more).
            Err(Errno::INVAL | Errno::NOENT) => return Ok(layers),
            Err(errno) => return Err(SysError::on("unmount", path)(errno)),
        }
    }
    Err(SysError::on("unmount all layers of", path)(
        Errno::TOOMANYREFS,
    ))
}

fn open_path(path: &Path) -> Result<OwnedFd, SysError> {
    super::dir::open_trusted(path)
}

/// A detached copy of the one mount `source` lies in, with `source` as its root. Not recursive: a
/// mount below it would keep its own flags and be writable in a read-only volume.
fn clone(source: BorrowedFd<'_>) -> Result<OwnedFd, SysError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(source, "", flags).map_err(SysError::on("clone", fd_path(source)))
}

fn attach(tree: BorrowedFd<'_>, target: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", target, "", flags)
}
