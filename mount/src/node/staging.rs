//! A child's place on the node's disk.
//!
//! A dataset has a directory of its own on its node, which the driver made and gave to the uid that
//! all its children run as. In it each child has `live/MOUNT`, cleared when it starts and when it
//! ends, and all share `kept`. A child of a driver that knows no such directory has one of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dlf_wire::mounter::v1::{self as wire, Start};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, statvfs};
use rustix::io::Errno;
use rustix::process::geteuid;

/// What children write while they run, each in a directory of its mount's name.
const LIVE: &str = "live";

/// Files whose upload failed. The driver removes them after an hour.
const KEPT: &str = "kept";

/// For the owner only: a file may hold anything of the dataset, and s3fs its keys.
const PRIVATE: u32 = 0o700;

/// Bytes on the node's disk that a child may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of one file.
    pub(crate) file_bytes_max: u64,
    /// Of all files of the dataset on this node: in `kept` and in `live`, of its other children too.
    pub(crate) dataset_bytes_max: u64,
    /// That stay free in the file system that holds them.
    pub(crate) free_bytes_min: u64,
}

/// Where the driver tells none: what the chart tells drivers.
const FILE_BYTES_DEFAULT: u64 = 64 << 30;
const DATASET_BYTES_DEFAULT: u64 = 128 << 30;

/// Where it tells none, a twentieth of the disk stays free: the pool's children fill no disk.
const FREE_PART_DEFAULT: u64 = 20;

/// Where a child may write, and how much; clones are of the same place.
#[derive(Clone, Debug)]
pub(crate) struct Staging {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    live: PathBuf,
    kept: Option<PathBuf>,
    limits: Mutex<Limits>,
    /// Held while we live: what nobody has locked, the driver clears.
    _lock: OwnedFd,
}

impl Staging {
    /// Makes our place in `directory`: the dataset's, or one of the mounter's in which everybody may
    /// make his own. None if there is no such directory, or a disk that is full or broken: what needs
    /// none of it goes on. Errors: a directory that is another's, or what else the system says.
    pub(crate) fn enter(directory: &Path, start: &Start) -> io::Result<Option<Self>> {
        if !directory.is_dir() {
            return Ok(None);
        }
        let entered = match &start.staging {
            Some(limits) => Place::of_dataset(directory, &start.mount_id, limits),
            None => Place::of_nobody(directory),
        };
        match entered {
            Ok(place) => Ok(Some(Self {
                place: Arc::new(place),
            })),
            Err(error) if is_the_disks(&error) => {
                tracing::warn!(%error, "there is no place on the node's disk");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A place of a test's own.
    #[cfg(test)]
    pub(crate) fn of_test(directory: &Path, file: u64, dataset: u64, free: u64) -> Self {
        let limits = wire::Staging {
            directory: String::new(),
            file_bytes_max: file,
            dataset_bytes_max: dataset,
            free_bytes_min: free,
        };
        let start = Start {
            mount_id: "m".to_owned(),
            staging: Some(limits),
            ..Start::default()
        };
        let entered = Self::enter(directory, &start);
        entered.unwrap().unwrap()
    }

    /// The directory of this child alone.
    pub(crate) fn live(&self) -> &Path {
        &self.place.live
    }

    /// The dataset's directory of files whose upload failed; none if this child has only its own.
    pub(crate) fn kept(&self) -> Option<&Path> {
        self.place.kept.as_deref()
    }

    /// How much may be written, as the driver said last.
    pub(crate) fn limits(&self) -> Limits {
        *self.place.lock_limits()
    }

    /// Takes other limits over.
    pub(crate) fn set_limits(&self, limits: &wire::Staging) {
        *self.place.lock_limits() = limits_of(limits);
    }

    /// Clears this child's directory at its end; what cannot be removed, the driver or the next owner
    /// clears.
    pub(crate) fn leave(&self) {
        let _ = std::fs::remove_dir_all(&self.place.live);
    }
}

impl Place {
    fn of_dataset(directory: &Path, mount_id: &str, limits: &wire::Staging) -> io::Result<Self> {
        check_ours(directory)?;
        let [live, kept] = [LIVE, KEPT].map(|name| directory.join(name));
        for shared in [&live, &kept] {
            match make(shared) {
                // Another child of the dataset was here first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            check_ours(shared)?;
        }
        Self::own(&live.join(mount_id), Some(kept), limits_of(limits))
    }

    fn of_nobody(directory: &Path) -> io::Result<Self> {
        let disk = statvfs(directory)?;
        let limits = Limits {
            file_bytes_max: FILE_BYTES_DEFAULT,
            dataset_bytes_max: DATASET_BYTES_DEFAULT,
            free_bytes_min: disk.f_blocks.saturating_mul(disk.f_frsize) / FREE_PART_DEFAULT,
        };
        let uid = geteuid().as_raw();
        Self::own(&directory.join(uid.to_string()), None, limits)
    }

    /// Makes `live` anew for us alone, whatever an earlier owner left in it.
    fn own(live: &Path, kept: Option<PathBuf>, limits: Limits) -> io::Result<Self> {
        match std::fs::remove_dir_all(live) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        make(live)?;
        check_ours(live)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::open(live, flags, Mode::empty())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            live: live.to_owned(),
            kept,
            limits: Mutex::new(limits),
            _lock: lock,
        })
    }

    fn lock_limits(&self) -> std::sync::MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn limits_of(staging: &wire::Staging) -> Limits {
    Limits {
        file_bytes_max: staging.file_bytes_max,
        dataset_bytes_max: staging.dataset_bytes_max,
        free_bytes_min: staging.free_bytes_min,
    }
}

fn make(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(PRIVATE).create(directory)
}

/// We have no right to give a directory away, so who made it is told by whose it is.
fn check_ours(directory: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(directory)?;
    if metadata.uid() == geteuid().as_raw() && metadata.is_dir() {
        return Ok(());
    }
    Err(io::Error::other("the staging directory is another's"))
}

/// Whether it is the disk's fault.
fn is_the_disks(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::IO)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn start(mount_id: &str, staging: Option<wire::Staging>) -> Start {
        Start {
            mount_id: mount_id.to_owned(),
            staging,
            ..Start::default()
        }
    }

    fn limits(file_bytes_max: u64) -> wire::Staging {
        wire::Staging {
            directory: "d".to_owned(),
            file_bytes_max,
            dataset_bytes_max: 2,
            free_bytes_min: 3,
        }
    }

    #[test]
    fn a_child_clears_what_an_earlier_one_left() {
        let root = tempfile::tempdir().unwrap();
        for (mount_id, limits) in [("m", None), ("m", Some(limits(1)))] {
            let start = start(mount_id, limits);
            let enter = || Staging::enter(root.path(), &start).unwrap().unwrap();
            let own = enter().live().to_owned();
            std::fs::write(own.join("left"), "x").unwrap();
            let again = enter();
            assert_eq!(own, again.live());
            assert_eq!(std::fs::read_dir(&own).unwrap().count(), 0);
            assert_eq!(std::fs::metadata(&own).unwrap().mode() & 0o777, 0o700);
            again.leave();
            assert!(!own.exists());
        }
    }

    #[test]
    fn no_staging_no_directory() {
        let none = Staging::enter(Path::new("/nonexistent"), &start("m", None));
        assert!(none.unwrap().is_none());
    }

    #[test]
    fn children_of_one_dataset_share_what_is_kept_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|mount_id| {
            let start = start(mount_id, Some(limits(1)));
            Staging::enter(root.path(), &start).unwrap().unwrap()
        });
        assert_eq!(one.live(), root.path().join("live/one"));
        assert_eq!(two.live(), root.path().join("live/two"));
        let kept = root.path().join("kept");
        assert_eq!((one.kept(), two.kept()), (Some(&*kept), Some(&*kept)));
        std::fs::write(kept.join("file"), "x").unwrap();
        one.leave();
        assert!(two.live().is_dir() && kept.join("file").exists());
    }

    #[test]
    fn a_place_is_locked_while_its_child_lives() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::enter(root.path(), &start("m", Some(limits(1))));
        let staging = staging.unwrap().unwrap();
        let directory = std::fs::File::open(staging.live()).unwrap();
        let try_lock = || flock(&directory, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(try_lock(), Err(Errno::WOULDBLOCK));
        drop(staging);
        assert_eq!(try_lock(), Ok(()));
    }

    #[test]
    fn other_limits_hold_for_all_clones() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::enter(root.path(), &start("m", Some(limits(1))));
        let staging = staging.unwrap().unwrap();
        let clone = staging.clone();
        staging.set_limits(&limits(7));
        let expected = Limits {
            file_bytes_max: 7,
            dataset_bytes_max: 2,
            free_bytes_min: 3,
        };
        assert_eq!(clone.limits(), expected);
    }

    #[test]
    fn a_directory_that_leads_elsewhere_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("file"), "x").unwrap();
        symlink(elsewhere.path(), root.path().join("kept")).unwrap();
        let refused = Staging::enter(root.path(), &start("m", Some(limits(1))));
        assert!(refused.unwrap_err().to_string().contains("another's"));
        std::fs::remove_file(root.path().join("kept")).unwrap();
        symlink(elsewhere.path(), root.path().join("live/m")).unwrap();
        // A link in the place of our own is removed like anything that was left there.
        let staging = Staging::enter(root.path(), &start("m", Some(limits(1))));
        assert!(staging.unwrap().unwrap().live().is_dir());
        assert!(elsewhere.path().join("file").exists());
    }
}
