//! A directory of its own for each dataset on this node's disk, below the driver's.
//!
//! It is for what a mount's processes cannot keep in memory. It has a uid of the dataset's own, as
//! which they run, and its owner on the disk is the only record of that: it outlives every driver and
//! the node's boots. A directory goes with the last mount of its dataset; what is `kept` in it (files
//! whose upload failed) stays for an hour.
//!
//! ```text
//! staging/             root's, 0711: one gets to one's own and sees no other
//!   DATASET UID/       the dataset's, 0700
//!     live/MOUNT ID/   a child's, which holds a lock of it while it lives
//!     kept/
//!   .gone-NUMBER/      a dataset's that is being removed
//!   .pool-NUMBER/      a mounter's, for children whose driver knew of none of this; locked likewise
//! ```

mod clear;
mod limits;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlf_wire::mounter::DATASET_UIDS;
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown, fstat, mkdirat};
use rustix::io::Errno;
use rustix::process::geteuid;

pub use clear::Mounted;
use limits::Room;
pub use limits::{BadSize, FreeMin, Limits, Size};

use crate::layout::VolumeHandle;
use crate::sys::SysError;
use crate::sys::dir::open_trusted;
use crate::sys::staging::errno_of;
use crate::sys::tree::{self, Budget};

/// What `staging/` itself is: to be walked through.
const ROOT_MODE: Mode = Mode::from_raw_mode(0o711);

/// What a dataset's directory is.
const DATASET_MODE: Mode = Mode::RWXU;

/// Prefix of a volume's handle, behind which the dataset's uid stands.
const HANDLE_PREFIX: &str = "dlf-";

/// Entries of `staging/` that are looked at: as many as there are uids, and some of mounters'.
const ENTRIES_MAX: usize = (DATASET_UIDS.end - DATASET_UIDS.start) as usize + 1000;

/// Why a dataset has no directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A system call.
    #[error("{0}")]
    Sys(#[from] SysError),
    /// Its owner is nobody that a dataset could be.
    #[error("the directory of {0} in the driver's staging directory belongs to uid {1}: remove it")]
    Owner(String, u32),
    /// Every uid has a directory.
    #[error("all {} uids for datasets have a directory on this node", DATASET_UIDS.len())]
    NoUid,
}

/// All datasets' directories of this node.
#[derive(Debug)]
pub struct Directories {
    path: PathBuf,
    root: OwnedFd,
    limits: Limits,
    /// Held while a directory is made or taken out of use.
    turn: Mutex<()>,
    room: Mutex<Room>,
}

impl Directories {
    /// Those in `path`, which is made, or made right: ours, and closed to others.
    pub fn open(path: PathBuf, limits: Limits) -> Result<Self, SysError> {
        let failed = |call| SysError::on(call, &path);
        std::fs::create_dir_all(&path).map_err(|error| failed("make")(errno_of(&error)))?;
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (open_trusted(parent)?, name),
            _ => return Err(failed("make")(Errno::INVAL)),
        };
        let root = tree::open(parent.as_fd(), name).map_err(failed("open"))?;
        let us = geteuid();
        // The kubelet may have made it for a mounter; nobody else can.
        if fstat(&root).map_err(failed("look at"))?.st_uid != us.as_raw() {
            fchown(&root, Some(us), None).map_err(failed("take over"))?;
        }
        fchmod(&root, ROOT_MODE).map_err(failed("set the mode of"))?;
        Ok(Self {
            path,
            root,
            limits,
            turn: Mutex::default(),
            room: Mutex::default(),
        })
    }

    /// The uid of a dataset, by its volume's handle, once it has its directory; none for a handle that
    /// no dataset has. The directory stays while [`Mounted`] says that the dataset has mounts, which
    /// has to be so before this is called.
    pub fn ensure(&self, handle: &str) -> Result<Option<u32>, DirectoryError> {
        let Some(name) = name_of(handle) else {
            return Ok(None);
        };
        let _turn = self.turn();
        let failed = |call| SysError::on(call, self.path.join(name));
        match mkdirat(&self.root, name, DATASET_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("make")(errno).into()),
        }
        let opened = tree::open(self.root.as_fd(), name.as_ref()).map_err(failed("open"))?;
        // Its owner may have changed it.
        fchmod(&opened, DATASET_MODE).map_err(failed("set the mode of"))?;
        match fstat(&opened).map_err(failed("look at"))?.st_uid {
            uid if DATASET_UIDS.contains(&uid) => Ok(Some(uid)),
            // New, or its maker was killed before it gave it away: nobody else got into it.
            uid if uid == geteuid().as_raw() => {
                let uid = self.free_uid()?;
                let (owner, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
                fchown(&opened, Some(owner), Some(group)).map_err(failed("give away"))?;
                Ok(Some(uid))
            }
            other => Err(DirectoryError::Owner(name.to_owned(), other)),
        }
    }

    /// The lowest uid that no directory has. The caller has the turn.
    fn free_uid(&self) -> Result<u32, DirectoryError> {
        let mut taken = BTreeSet::new();
        for name in self.entries()? {
            match tree::stat(self.root.as_fd(), &name) {
                Ok(stat) => drop(taken.insert(stat.st_uid)),
                Err(Errno::NOENT) => {}
                // Better no uid than another's.
                Err(errno) => {
                    return Err(SysError::on("look at", self.path.join(name))(errno).into());
                }
            }
        }
        let free = |uid: &u32| !taken.contains(uid);
        DATASET_UIDS
            .into_iter()
            .find(free)
            .ok_or(DirectoryError::NoUid)
    }

    fn entries(&self) -> Result<Vec<OsString>, SysError> {
        tree::names(self.root.as_fd(), &mut Budget::new(ENTRIES_MAX))
            .map_err(SysError::on("read", &self.path))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a dataset's directory; none if this is no dataset's handle.
fn name_of(handle: &str) -> Option<&str> {
    let uid = handle.strip_prefix(HANDLE_PREFIX)?;
    VolumeHandle::parse(uid).is_some().then_some(uid)
}

/// The handle of the dataset whose directory has this name; none if it is no dataset's.
fn handle_of(name: &OsStr) -> Option<String> {
    let handle = format!("{HANDLE_PREFIX}{}", name.to_str()?);
    name_of(&handle).is_some().then_some(handle)
}

#[cfg(test)]
mod tests;
