//! Who a child runs as, and where it may write.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dlf_wire::mounter::DATASET_UIDS;
use dlf_wire::mounter::v1::Start;

use super::refusal::Refusal;

/// Longest name of a directory, in bytes: what Linux's file systems take.
const NAME_BYTES_MAX: usize = 255;

/// What only the owner of a dataset's directory may not share: access of group and others.
const SHARED_BITS: u32 = 0o077;

/// A dataset's uid and directory on this node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub uid: u32,
    pub directory: PathBuf,
}

impl Place {
    /// What the driver says of it, checked; none if it says nothing.
    ///
    /// We may become any user, and the child clears what is in its directory: so what is not a
    /// dataset's is refused, whoever asks.
    pub(super) fn of_dataset(staging: &Path, start: &Start) -> Result<Option<Self>, Refusal> {
        let (uid, name) = match (start.uid, &start.staging) {
            (None, None) => return Ok(None),
            (Some(uid), Some(given)) => (uid, given.directory.as_str()),
            _ => return Err(invalid("a uid and a staging directory come together")),
        };
        if !DATASET_UIDS.contains(&uid) {
            return Err(invalid("the uid is no dataset's"));
        }
        // The child's own directory has the mount's name.
        if !is_plain(name) || !is_plain(&start.mount_id) {
            return Err(invalid("the staging directory's name is none"));
        }
        let directory = staging.join(name);
        match std::fs::symlink_metadata(&directory) {
            Ok(found)
                if !found.is_dir() || found.uid() != uid || found.mode() & SHARED_BITS != 0 =>
            {
                Err(Refusal::new(
                    "StagingRefused",
                    "the staging directory is not the dataset's alone",
                ))
            }
            Ok(_) => Ok(Some(Self { uid, directory })),
            // This mounter's chart has no directory in common with the driver: a mount without one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(name, "the dataset's staging directory is not there");
                Ok(Some(Self { uid, directory }))
            }
            Err(error) => Err(Refusal::new(
                "StagingFailed",
                format!("the staging directory: {error}"),
            )),
        }
    }
}

fn invalid(what: &str) -> Refusal {
    Refusal::new("InvalidConfiguration", what)
}

/// Whether it is one component of a path that leads nowhere but there.
fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    fits && !name.starts_with('.') && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use dlf_wire::mounter::v1::Staging;

    use super::*;

    fn start(mount_id: &str, uid: Option<u32>, directory: Option<&str>) -> Start {
        Start {
            mount_id: mount_id.to_owned(),
            uid,
            staging: directory.map(|directory| Staging {
                directory: directory.to_owned(),
                ..Staging::default()
            }),
            ..Start::default()
        }
    }

    fn reason(start: &Start) -> String {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("roots")).unwrap();
        Place::of_dataset(root.path(), start).unwrap_err().reason
    }

    #[test]
    fn a_driver_that_says_nothing_gets_what_there_was() {
        let place = Place::of_dataset(Path::new("/nonexistent"), &start("m", None, None));
        assert_eq!(place.unwrap(), None);
    }

    #[test]
    fn what_is_no_datasets_is_refused() {
        let uid = Some(DATASET_UIDS.start);
        for wrong in [
            start("m", uid, None),
            start("m", None, Some("d")),
            start("m", Some(0), Some("d")),
            start("m", Some(DATASET_UIDS.start - 1), Some("d")),
            start("m", Some(DATASET_UIDS.end), Some("d")),
            start("", uid, Some("d")),
            start("../m", uid, Some("d")),
        ] {
            assert_eq!(reason(&wrong), "InvalidConfiguration", "{wrong:?}");
        }
        for name in ["", ".", "..", "../d", "d/e", "/d", ".hidden", "d\0", "d e"] {
            let wrong = start("m", uid, Some(name));
            assert_eq!(reason(&wrong), "InvalidConfiguration", "{name:?}");
        }
        let long = "d".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(
            reason(&start("m", uid, Some(&long))),
            "InvalidConfiguration"
        );
    }

    #[test]
    fn a_directory_that_is_anothers_is_refused() {
        let start = start("m", Some(DATASET_UIDS.start), Some("roots"));
        assert_eq!(reason(&start), "StagingRefused");
    }

    #[test]
    fn a_mounter_without_the_drivers_directories_mounts_all_the_same() {
        let start = start("m", Some(DATASET_UIDS.start), Some("none"));
        let place = Place::of_dataset(Path::new("/nonexistent"), &start).unwrap();
        assert_eq!(place.unwrap().uid, DATASET_UIDS.start);
    }
}
