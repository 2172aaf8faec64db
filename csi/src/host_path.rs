//! Directories of the node itself, below the prefixes that the chart mounts.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use dlf_wire::dataset::v1::HostPathVolume;
use rustix::fs::{Mode, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::sys::SysError;
use crate::sys::dir::{make_beneath, open_beneath, open_trusted};

/// Mode of a directory that we make for a dataset: pods of any uid can use it.
const MODE: Mode = Mode::from_raw_mode(0o777);

/// Why a host path cannot be shown to a pod.
#[derive(Debug, thiserror::Error)]
pub enum HostPathError {
    /// The prefix is not below `/host` in this driver.
    #[error(
        "the prefix {prefix} is not mounted into the node driver ({cause}): list it under \
         [[host_path]] in the chart's value `config`, and make sure that the node has it"
    )]
    Prefix {
        /// As configured.
        prefix: String,
        /// What opening it said.
        cause: SysError,
    },
    /// Nothing is there.
    #[error("{0} does not exist on this node: create it, or use hostPathType CreateNew")]
    NotFound(String),
    /// A symbolic link, or a way out of the prefix.
    #[error(
        "{0} leads through a symbolic link, which a host path may not: name the real directory"
    )]
    Link(String),
    /// A file.
    #[error("{0} is not a directory")]
    NotADirectory(String),
    /// Anything else.
    #[error("{path}: {cause}")]
    Other {
        /// The path on the node.
        path: String,
        /// What failed.
        cause: SysError,
    },
}

impl HostPathError {
    /// `CamelCase` class for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Prefix { .. } => "HostPrefixMissing",
            Self::NotFound(_) => "HostPathNotFound",
            Self::Link(_) => "HostPathIsLink",
            Self::NotADirectory(_) => "HostPathNotDirectory",
            Self::Other { .. } => "HostPathFailed",
        }
    }
}

/// Opens the directory beneath `host`, where the node's prefixes are mounted.
pub fn open(host: &Path, volume: &HostPathVolume) -> Result<OwnedFd, HostPathError> {
    let prefix = Path::new(volume.prefix.trim_start_matches('/'));
    let base = open_trusted(host)
        .and_then(|host| open_beneath(host.as_fd(), prefix))
        .map_err(|cause| HostPathError::Prefix {
            prefix: volume.prefix.clone(),
            cause,
        })?;
    let path = Path::new(&volume.path);
    let opened = if volume.create {
        make_beneath(base.as_fd(), path, MODE).map(|(directory, _)| directory)
    } else {
        open_beneath(base.as_fd(), path)
    };
    opened.map_err(|cause| explain(volume, cause))
}

/// The flags of the node's own mount that a bind must not lose.
pub fn flags(directory: &OwnedFd) -> Result<MountFlags, SysError> {
    let found = rustix::fs::fstatvfs(directory).map_err(SysError::on("stat", "the host path"))?;
    let mut flags = MountFlags::empty();
    flags.set(
        MountFlags::RDONLY,
        found.f_flag.contains(StatVfsMountFlags::RDONLY),
    );
    flags.set(
        MountFlags::NOEXEC,
        found.f_flag.contains(StatVfsMountFlags::NOEXEC),
    );
    Ok(flags)
}

fn explain(volume: &HostPathVolume, cause: SysError) -> HostPathError {
    let path = format!("{}/{}", volume.prefix.trim_end_matches('/'), volume.path);
    match cause.errno {
        Errno::NOENT => HostPathError::NotFound(path),
        // EXDEV: an absolute link or `..` on the way, which RESOLVE_BENEATH stopped.
        Errno::LOOP | Errno::XDEV => HostPathError::Link(path),
        Errno::NOTDIR => HostPathError::NotADirectory(path),
        _ => HostPathError::Other { path, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn volume(path: &str, create: bool) -> HostPathVolume {
        HostPathVolume {
            prefix: "/srv/data".into(),
            path: path.into(),
            create,
        }
    }

    fn host() -> tempfile::TempDir {
        let host = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(host.path().join("srv/data/real")).unwrap();
        std::fs::create_dir_all(host.path().join("etc")).unwrap();
        symlink("../../etc", host.path().join("srv/data/up")).unwrap();
        symlink("/etc", host.path().join("srv/data/absolute")).unwrap();
        symlink("real", host.path().join("srv/data/inside")).unwrap();
        std::fs::write(host.path().join("srv/data/file"), "").unwrap();
        host
    }

    #[test]
    fn links_and_ways_out_are_refused_even_when_making() {
        let host = host();
        for path in ["up", "absolute", "inside", "up/x", "inside/x"] {
            for create in [false, true] {
                let error = open(host.path(), &volume(path, create)).unwrap_err();
                assert!(matches!(error, HostPathError::Link(_)), "{path}: {error}");
            }
        }
        let error = open(host.path(), &volume("../../etc", false)).unwrap_err();
        assert!(matches!(error, HostPathError::Link(_)), "{error}");
        assert!(open(host.path(), &volume("real/../../../etc", true)).is_err());
    }

    #[test]
    fn create_new_makes_a_directory_for_everybody() {
        let host = host();
        open(host.path(), &volume("a/b", true)).unwrap();
        let made = host.path().join("srv/data/a/b");
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o777);
        let parent = host.path().join("srv/data/a");
        assert_eq!(
            parent.metadata().unwrap().permissions().mode() & 0o777,
            0o755
        );
        open(host.path(), &volume("real", true)).unwrap();
        let kept = host.path().join("srv/data/real");
        assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn errors_say_what_to_do() {
        let host = host();
        let text = |volume: &HostPathVolume| open(host.path(), volume).unwrap_err().to_string();
        assert_eq!(
            text(&volume("absent", false)),
            "/srv/data/absent does not exist on this node: create it, or use hostPathType CreateNew"
        );
        assert_eq!(
            text(&volume("file", false)),
            "/srv/data/file is not a directory"
        );
        let unknown = HostPathVolume {
            prefix: "/opt".into(),
            ..volume("", false)
        };
        assert!(text(&unknown).contains("[[host_path]]"));
        open(host.path(), &volume("", false)).unwrap();
    }
}
