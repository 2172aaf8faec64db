//! Uids and a directory for children of a driver that knows nothing of datasets' own.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};

/// Uids and gids begin here: far above people's and services' (below 65,536) and in no range that
/// Debian's or Red Hat's tools give to containers (from 100,000 in steps of 65,536 as they are asked
/// for, and 524,288 in all by default). Those of datasets begin 1,000 further up.
const UID_FIRST: u32 = 700_000;

/// Nobody makes a directory of this name: a child that is sent there has no place on the disk.
const NOWHERE: &str = ".none";

/// Everybody may make a directory in it, and nobody touch another's.
const STICKY: u32 = 0o1777;

/// One uid for each child.
#[derive(Debug)]
pub(super) struct Pool {
    free: BTreeSet<u32>,
    directory: Option<Directory>,
}

/// Of this mounter alone: mounters of several revisions have the same uids and the same disk.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Held while we live: what nobody has locked, the driver clears.
    _lock: OwnedFd,
}

impl Pool {
    /// A pool of so many.
    pub(super) fn new(uids: u32) -> Self {
        Self {
            free: (UID_FIRST..UID_FIRST + uids).collect(),
            directory: None,
        }
    }

    /// The lowest uid that is free.
    pub(super) fn take(&mut self) -> Option<u32> {
        self.free.pop_first()
    }

    /// A uid is free again.
    pub(super) fn give_back(&mut self, uid: u32) {
        self.free.insert(uid);
    }

    /// The directory for all of them below `staging`, made for the first one. It is not there if the
    /// disk does not take it: a child goes on without.
    pub(super) fn directory(&mut self, staging: &Path) -> PathBuf {
        if let Some(directory) = &self.directory {
            return directory.path.clone();
        }
        match Directory::make(staging) {
            Ok(directory) => self.directory.insert(directory).path.clone(),
            Err(error) => {
                tracing::warn!(%error, "there is no directory for children without a dataset's");
                staging.join(NOWHERE)
            }
        }
    }
}

impl Directory {
    fn make(staging: &Path) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        // The dot keeps it apart from datasets', the time from other mounters'.
        let path = staging.join(format!(".pool-{now:x}"));
        std::fs::create_dir(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(STICKY))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&path, flags, Mode::empty())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Not empty if a child was killed: the driver clears it.
        let _ = std::fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_given_once_at_a_time() {
        let mut pool = Pool::new(2);
        assert_eq!(pool.take(), Some(UID_FIRST));
        assert_eq!(pool.take(), Some(UID_FIRST + 1));
        assert_eq!(pool.take(), None);
        pool.give_back(UID_FIRST);
        assert_eq!(pool.take(), Some(UID_FIRST));
    }

    #[test]
    fn two_mounters_of_one_disk_have_each_a_directory() {
        let staging = tempfile::tempdir().unwrap();
        let (mut one, mut two) = (Pool::new(1), Pool::new(1));
        let first = one.directory(staging.path());
        assert_eq!(one.directory(staging.path()), first);
        let second = two.directory(staging.path());
        assert_ne!(first, second);
        let mode = std::fs::metadata(&first).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, STICKY);
        drop(one);
        assert!(!first.exists() && second.exists());
    }

    #[test]
    fn without_staging_there_is_none() {
        assert!(!Pool::new(1).directory(Path::new("/nonexistent")).exists());
    }
}
