use std::{
    fs::File,
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use sha2::{Digest, Sha256};

use super::LoadError;

/// Group and others may write.
const WRITABLE: u32 = 0o022;

/// Opens a library that nobody but root and this process' user may change.
pub(super) fn checked(path: &Path, sha256: Option<&str>) -> Result<File, LoadError> {
    let unreadable = |source| LoadError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if !path.is_absolute() {
        return Err(LoadError::Relative {
            path: path.to_owned(),
        });
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let (owner, mode) = (found.uid(), found.permissions().mode() & 0o7777);
    let trusted = owner == 0 || owner == geteuid().as_raw();
    if !trusted || mode & WRITABLE != 0 {
        return Err(LoadError::Writable {
            path: path.to_owned(),
            owner,
            mode,
        });
    }
    if let Some(expected) = sha256 {
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash).map_err(unreadable)?;
        let found = hex::encode(hash.finalize());
        if !found.eq_ignore_ascii_case(expected) {
            return Err(LoadError::Checksum {
                path: path.to_owned(),
                found,
                expected: expected.to_owned(),
            });
        }
    }
    Ok(file)
}

/// A path of the very file that was checked, whatever has its name by now.
pub(super) fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
