//! Directories that nobody uses any more, and what is left in the others.
//!
//! What is in a directory belongs to its dataset, so nothing here follows a link, and no directory can
//! make the work for the others wait: each has a budget of its own.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, FlockOperation, Stat, Timespec, Timestamps, UTIME_NOW, flock, fstat, renameat,
    utimensat,
};
use rustix::io::Errno;

use super::limits::Room;
use super::{Directories, handle_of};
use crate::sys::tree::{self, Budget};

/// How long a file stays whose upload failed: long enough for somebody who was told, and short enough
/// that nobody relies on it.
pub(super) const KEPT_FOR: Duration = Duration::from_hours(1);

/// Entries of one directory that are looked at or removed in one round; more wait for the next.
const ENTRIES_MAX: usize = 10_000;

/// What children write while they run, by the name of their mount.
const LIVE: &str = "live";

/// Files whose upload failed.
const KEPT: &str = "kept";

/// A directory that is being removed, by the number of its inode: no other has it meanwhile.
const GONE: &str = ".gone-";

/// A mounter's.
const POOL: &str = ".pool-";

/// Which mounts there are, by the driver's records.
pub trait Mounted {
    /// Whether a dataset has one, by its volume's handle.
    fn is_mounted(&self, handle: &str) -> bool;
    /// Whether this is one, by its id.
    fn is_mount(&self, id: &str) -> bool;
}

impl Directories {
    /// Clears up after a mount of this dataset that has gone, and with its last one its directory.
    pub fn leave(&self, handle: &str, mounted: &impl Mounted, now: SystemTime) {
        if let Some(name) = super::name_of(handle) {
            self.tidy(name.as_ref(), handle, mounted, now);
        }
    }

    /// Looks at all directories: clears what belongs to nothing, and counts what is used. Returns the
    /// handles of mounted datasets whose limit is another for it.
    pub fn sweep(&self, mounted: &impl Mounted, now: SystemTime) -> Vec<String> {
        let entries = self.entries().unwrap_or_else(|error| {
            tracing::warn!(%error, "datasets' directories are not looked at");
            Vec::new()
        });
        let (mut room, mut handles) = (Room::default(), Vec::new());
        for name in entries {
            if let Some(handle) = handle_of(&name) {
                if let Some(used) = self.tidy(&name, &handle, mounted, now) {
                    let text = name.to_string_lossy().into_owned();
                    room.used.insert(text, used);
                }
                if mounted.is_mounted(&handle) {
                    room.filling += 1;
                    handles.push(handle);
                }
            } else if has_prefix(&name, GONE)
                || (has_prefix(&name, POOL) && is_left(self.root.as_fd(), &name))
            {
                self.remove(&name);
            }
        }
        self.note(room, &handles)
    }

    /// Clears one dataset's directory, or removes it; the bytes in it if it is still there.
    fn tidy(
        &self,
        name: &OsStr,
        handle: &str,
        mounted: &impl Mounted,
        now: SystemTime,
    ) -> Option<u64> {
        let directory = match tree::open(self.root.as_fd(), name) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return None,
            Err(errno) => {
                tracing::warn!(?name, %errno, "a dataset's directory cannot be looked at");
                return None;
            }
        };
        let cleared = clear_kept(&directory, now).and_then(|()| clear_live(&directory, mounted));
        if let Err(errno) = cleared {
            tracing::warn!(?name, %errno, "something stays behind in a dataset's directory");
        }
        if let Some(gone) = self.retire(name, handle, &directory, mounted) {
            drop(directory);
            self.remove(&gone);
            return None;
        }
        Some(tree::bytes(
            directory.as_fd(),
            &mut Budget::new(ENTRIES_MAX),
        ))
    }

    /// Takes a directory out of use that has no mounts and keeps nothing; its new name.
    fn retire(
        &self,
        name: &OsStr,
        handle: &str,
        directory: &OwnedFd,
        mounted: &impl Mounted,
    ) -> Option<OsString> {
        // So that no mount is made in it meanwhile.
        let _turn = self.turn();
        if mounted.is_mounted(handle) || !is_empty(directory, LIVE) || !is_empty(directory, KEPT) {
            return None;
        }
        let gone = OsString::from(format!("{GONE}{}", fstat(directory).ok()?.st_ino));
        let renamed = renameat(&self.root, name, &self.root, &gone);
        if let Err(errno) = renamed {
            tracing::warn!(?name, %errno, "a dataset's directory stays behind");
        }
        renamed.is_ok().then_some(gone)
    }

    /// Removes an entry of `staging/`; what the budget leaves, the next round removes.
    fn remove(&self, name: &OsStr) {
        let mut budget = Budget::new(ENTRIES_MAX);
        match tree::remove(self.root.as_fd(), name, &mut budget) {
            Ok(true) => tracing::debug!(?name, "removed a directory that nobody uses"),
            Ok(false) => tracing::info!(?name, "a large directory goes in several rounds"),
            Err(errno) => tracing::warn!(?name, %errno, "a directory stays behind"),
        }
    }
}

/// Removes what children left that have gone.
fn clear_live(directory: &OwnedFd, mounted: &impl Mounted) -> rustix::io::Result<()> {
    each(directory, LIVE, |live, name, budget| {
        let in_use = name.to_str().is_some_and(|id| mounted.is_mount(id));
        if !in_use && is_left(live, name) {
            tree::remove(live, name, budget)?;
        }
        Ok(())
    })
}

/// Removes what was kept for long enough. Its age is that of its inode's last change, which its owner
/// cannot set: moving a file to here is one.
fn clear_kept(directory: &OwnedFd, now: SystemTime) -> rustix::io::Result<()> {
    each(directory, KEPT, |kept, name, budget| {
        let changed = match tree::stat(kept, name) {
            Ok(stat) => changed_at(&stat),
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        match now.duration_since(changed) {
            Ok(age) if age > KEPT_FOR => drop(tree::remove(kept, name, budget)?),
            Ok(_) => {}
            // The clock went back: its hour begins anew, lest it stays until the clock is there again.
            Err(_) => touch(kept, name)?,
        }
        Ok(())
    })
}

/// Does something with each entry of a directory of a dataset's, if there is that directory.
fn each(
    directory: &OwnedFd,
    name: &str,
    mut act: impl FnMut(BorrowedFd<'_>, &OsStr, &mut Budget) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let inner = match tree::open(directory.as_fd(), name.as_ref()) {
        Ok(inner) => inner,
        Err(Errno::NOENT) => return Ok(()),
        // Whatever its owner put there instead.
        Err(Errno::NOTDIR | Errno::LOOP) => {
            tree::remove(directory.as_fd(), name.as_ref(), &mut Budget::new(1))?;
            return Ok(());
        }
        Err(errno) => return Err(errno),
    };
    let mut budget = Budget::new(ENTRIES_MAX);
    for entry in tree::names(inner.as_fd(), &mut Budget::new(ENTRIES_MAX))? {
        act(inner.as_fd(), &entry, &mut budget)?;
    }
    Ok(())
}

/// Whether nobody who lives has locked it.
fn is_left(parent: BorrowedFd<'_>, name: &OsStr) -> bool {
    match tree::open(parent, name) {
        Ok(directory) => flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok(),
        // No directory: nobody's place.
        Err(errno) => matches!(errno, Errno::NOTDIR | Errno::LOOP),
    }
}

/// Whether there is nothing in a directory of a dataset's, or no such directory.
fn is_empty(directory: &OwnedFd, name: &str) -> bool {
    match tree::open(directory.as_fd(), name.as_ref()) {
        Ok(inner) => {
            tree::names(inner.as_fd(), &mut Budget::new(1)).is_ok_and(|names| names.is_empty())
        }
        Err(errno) => errno == Errno::NOENT,
    }
}

fn changed_at(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_ctime).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn touch(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

fn has_prefix(name: &OsStr, prefix: &str) -> bool {
    name.as_encoded_bytes().starts_with(prefix.as_bytes())
}
