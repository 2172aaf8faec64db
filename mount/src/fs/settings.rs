//! What a mount's options come to: owners and modes, and how old an answer may be.

use std::time::{Duration, Instant, SystemTime};

use dlf_cache::ClientOptions;
use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume};
use fuser::{FileAttr, FileType, INodeNo};

use super::name::KEY_BYTES_MAX;

/// Stands for "for ever" where the kernel wants a number: longer than a node runs.
const FOREVER: Duration = Duration::from_hours(10 * 365 * 24);

/// What `stat` gives as the best size of a request: what the kernel asks for at most.
const BLOCK_BYTES: u32 = 1024 * 1024;

/// Unit of `st_blocks` (stat(2)).
const STAT_BLOCK_BYTES: u64 = 512;

/// How long a request waits for a source that is away; never for ever.
pub(crate) fn source_timeout(volume: &FuseVolume) -> Duration {
    match volume.source_timeout_ms {
        0 => ClientOptions::SOURCE_TIMEOUT_DEFAULT,
        ms => Duration::from_millis(ms),
    }
}

/// The options of one mount.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub uid: u32,
    /// Nobody was named as the owner and owners may do no more than others: whoever makes a file
    /// is shown as its owner for as long as the kernel knows it. The kernel lets nobody else set an
    /// access list, which `cp -p` tries to.
    pub shows_makers: bool,
    pub gid: u32,
    pub mode: u16,
    pub readonly: bool,
    /// How old an answer of the source may be. `None`: any age.
    pub revalidate: Option<Duration>,
    /// How long a request waits for a source that is away.
    pub source_timeout: Duration,
    /// What is left of S3's longest key beside the origins' own prefix, in bytes.
    pub key_bytes_max: usize,
    /// Time of directories, which have none in an object store.
    started: SystemTime,
}

impl Settings {
    pub(crate) fn new(dataset: &DatasetConfig, volume: &FuseVolume, fs_group: Option<u32>) -> Self {
        let mut mode = 0o777 & !volume.umask;
        if fs_group.is_some() {
            mode = (mode & !0o070) | ((mode & 0o700) >> 3);
        }
        let longest_prefix = volume
            .origins
            .iter()
            .map(|origin| origin.prefix.len())
            .max();
        Self {
            uid: volume.uid.unwrap_or(0),
            shows_makers: volume.uid.is_none() && volume.umask == 0,
            gid: fs_group.or(volume.gid).unwrap_or(0),
            mode: u16::try_from(mode & 0o777).unwrap_or(0o777),
            readonly: dataset.readonly,
            revalidate: volume.revalidate_ms.map(Duration::from_millis),
            source_timeout: source_timeout(volume),
            key_bytes_max: KEY_BYTES_MAX.saturating_sub(longest_prefix.unwrap_or(0)),
            started: SystemTime::now(),
        }
    }

    /// Takes over what may change while mounted; owners and modes stay what the kernel has cached.
    pub(crate) fn updated(&self, dataset: &DatasetConfig, volume: &FuseVolume) -> Self {
        let new = Self::new(dataset, volume, None);
        Self {
            readonly: new.readonly,
            revalidate: new.revalidate,
            source_timeout: new.source_timeout,
            key_bytes_max: new.key_bytes_max,
            ..self.clone()
        }
    }

    /// For how long an answer of the source of `checked` still counts.
    pub(crate) fn ttl(&self, checked: Instant) -> Duration {
        match self.revalidate {
            Some(revalidate) => revalidate.saturating_sub(checked.elapsed()),
            None => FOREVER,
        }
    }

    pub(crate) fn directory_attr(&self, ino: u64) -> FileAttr {
        self.attr(ino, FileType::Directory, 0, self.started)
    }

    pub(crate) fn file_attr(&self, ino: u64, size: u64, modified: SystemTime) -> FileAttr {
        self.attr(ino, FileType::RegularFile, size, modified)
    }

    fn attr(&self, ino: u64, kind: FileType, size: u64, time: SystemTime) -> FileAttr {
        FileAttr {
            ino: INodeNo(ino),
            size,
            blocks: size.div_ceil(STAT_BLOCK_BYTES),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm: self.mode,
            // 1 for directories too: find(1) then knows it cannot count subdirectories by links.
            nlink: 1,
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(umask: u32, gid: Option<u32>, fs_group: Option<u32>) -> Settings {
        let volume = FuseVolume {
            umask,
            gid,
            ..FuseVolume::default()
        };
        Settings::new(&DatasetConfig::default(), &volume, fs_group)
    }

    #[test]
    fn without_options_everyone_may_do_everything() {
        let settings = settings(0, None, None);
        assert_eq!((settings.mode, settings.uid, settings.gid), (0o777, 0, 0));
    }

    #[test]
    fn an_fs_group_gets_what_the_owner_may() {
        let settings = settings(0o077, Some(5), Some(2000));
        assert_eq!((settings.mode, settings.gid), (0o770, 2000));
    }

    #[test]
    fn an_answer_without_a_limit_never_gets_old() {
        let settings = settings(0, None, None);
        assert_eq!(settings.ttl(Instant::now()), FOREVER);
        let settings = Settings {
            revalidate: Some(Duration::ZERO),
            ..settings
        };
        assert_eq!(settings.ttl(Instant::now()), Duration::ZERO);
    }
}
