//! Where bytes wait that are not in memory and not yet in the source: sparse files in a directory of
//! the dataset's own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use fuser::Errno;

use crate::node::staging::Staging as Place;

/// Bytes of a file's name in that of a kept one: enough to know it by.
const KEPT_NAME_MAX: usize = 100;

/// What is staged of a mount.
#[derive(Debug)]
pub(crate) struct Staging {
    /// `None`: there is none, and nothing can be staged.
    place: Option<Place>,
    used: AtomicU64,
    /// Names the next file.
    next: AtomicU64,
}

/// One sparse file. It goes when this is dropped.
#[derive(Debug)]
pub(super) struct StagedFile {
    staging: Arc<Staging>,
    file: Arc<File>,
    path: PathBuf,
    reserved: u64,
    /// Whether it stays when this is dropped.
    kept: bool,
}

impl Staging {
    pub(crate) fn new(place: Option<Place>) -> Self {
        Self {
            place,
            used: AtomicU64::new(0),
            next: AtomicU64::new(0),
        }
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Makes an empty file. `ENOSPC` where there is no staging directory.
    pub(super) fn create(self: &Arc<Self>) -> Result<StagedFile, Errno> {
        let place = self.place.as_ref().ok_or(Errno::ENOSPC)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = place.live().join(format!("body-{number}"));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600);
        let file = file.open(&path).map_err(|error| errno(&error))?;
        Ok(StagedFile {
            staging: self.clone(),
            file: Arc::new(file),
            path,
            reserved: 0,
            kept: false,
        })
    }

    /// Takes `bytes` more into account, of a file that then has `of_file`.
    fn reserve(&self, bytes: u64, of_file: u64) -> Result<(), Errno> {
        let place = self.place.as_ref().ok_or(Errno::ENOSPC)?;
        let limits = place.limits();
        if bytes == 0 {
            return Ok(());
        }
        let room = rustix::fs::statvfs(place.live()).map_err(|_| Errno::EIO)?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if of_file > limits.file_bytes_max || free < bytes.saturating_add(limits.free_bytes_min) {
            return Err(Errno::ENOSPC);
        }
        let within =
            |used: u64| Some(used + bytes).filter(|used| *used <= limits.dataset_bytes_max);
        let order = Ordering::Relaxed;
        let reserved = self.used.fetch_update(order, order, within);
        reserved.map(drop).map_err(|_| Errno::ENOSPC)
    }
}

impl StagedFile {
    /// Writes `data` at `offset`; `fresh` of it are bytes that the file did not hold before.
    ///
    /// `ENOSPC` if a limit does not allow it, or the disk.
    pub(super) async fn write(
        &mut self,
        offset: u64,
        data: Bytes,
        fresh: u64,
    ) -> Result<(), Errno> {
        self.staging.reserve(fresh, self.reserved + fresh)?;
        self.reserved += fresh;
        let file = self.file.clone();
        blocking(move || file.write_all_at(&data, offset)).await
    }

    /// Drops what lies from `offset` on, which is `bytes` of what was written.
    pub(super) fn truncate(&mut self, offset: u64, bytes: u64) -> Result<(), Errno> {
        self.file.set_len(offset).map_err(|error| errno(&error))?;
        self.reserved -= bytes;
        self.staging.used.fetch_sub(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Moves the file to where files are kept after they could not be written, and gives its name
    /// there; it does not go with this any more. Does nothing where there is no such place.
    pub(super) fn keep(&mut self, name: &str) -> Result<Option<String>, Errno> {
        let kept = self.staging.place.as_ref().and_then(Place::kept);
        let Some(kept) = kept.filter(|_| !self.kept) else {
            return Ok(None);
        };
        // Of the name, what is safe in a path and in a terminal.
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = name
            .chars()
            .map(|c| if safe(c) { c } else { '_' })
            .collect();
        let name = name
            .get(..name.len().min(KEPT_NAME_MAX))
            .unwrap_or_default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs());
        let number = self.staging.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{seconds}-{number}-{name}");
        let path = kept.join(&name);
        fs::rename(&self.path, &path).map_err(|error| errno(&error))?;
        (self.path, self.kept) = (path, true);
        Ok(Some(name))
    }

    /// Reads what was written.
    pub(super) async fn read(&self, offset: u64, length: usize) -> Result<Bytes, Errno> {
        let file = self.file.clone();
        blocking(move || {
            let mut buffer = BytesMut::zeroed(length);
            file.read_exact_at(&mut buffer, offset)?;
            Ok(buffer.freeze())
        })
        .await
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        self.staging
            .used
            .fetch_sub(self.reserved, Ordering::Relaxed);
        if self.kept {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "a staged file stays behind");
        }
    }
}

/// The disk may be slow: other requests must not wait behind it.
async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Errno> {
    let done = tokio::task::spawn_blocking(operation).await;
    done.map_err(|_| Errno::EIO)?.map_err(|error| errno(&error))
}

fn errno(error: &io::Error) -> Errno {
    tracing::warn!(%error, "the staging directory fails");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Errno::ENOSPC,
        _ => Errno::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staging(file: u64, dataset: u64, free: u64) -> (tempfile::TempDir, Arc<Staging>) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::of_test(directory.path(), file, dataset, free);
        (directory, Arc::new(Staging::new(Some(place))))
    }

    #[tokio::test]
    async fn what_is_written_can_be_read_and_goes_with_the_file() {
        let (directory, staging) = staging(1 << 20, 1 << 20, 0);
        let mut file = staging.create().unwrap();
        let files = || {
            fs::read_dir(directory.path().join("live/m"))
                .unwrap()
                .count()
        };
        file.write(5, Bytes::from_static(b"hello"), 5)
            .await
            .unwrap();
        assert_eq!(file.read(6, 3).await.unwrap(), "ell");
        assert_eq!((staging.used(), files()), (5, 1));
        file.truncate(7, 3).unwrap();
        assert_eq!(
            (file.read(5, 2).await.unwrap(), staging.used()),
            ("he".into(), 2)
        );
        drop(file);
        assert_eq!((staging.used(), files()), (0, 0));
    }

    #[tokio::test]
    async fn limits_are_enospc_and_take_nothing() {
        let (_directory, staging) = staging(10, 15, 0);
        let (mut one, mut two) = (staging.create().unwrap(), staging.create().unwrap());
        let body = |length: usize| Bytes::from(vec![1; length]);
        assert_eq!(one.write(0, body(11), 11).await, Err(Errno::ENOSPC));
        assert_eq!(one.write(0, body(10), 10).await, Ok(()));
        assert_eq!(two.write(0, body(6), 6).await, Err(Errno::ENOSPC));
        assert_eq!(two.write(0, body(5), 5).await, Ok(()));
        assert_eq!(one.write(0, body(10), 0).await, Ok(()), "in place");
        drop(one);
        assert_eq!(staging.used(), 5);
        let none = Arc::new(Staging::new(None));
        assert_eq!(none.create().err(), Some(Errno::ENOSPC));
    }

    #[tokio::test]
    async fn a_disk_that_is_nearly_full_is_left_alone() {
        let (_directory, staging) = staging(1 << 20, 1 << 20, u64::MAX / 2);
        let mut file = staging.create().unwrap();
        let refused = file.write(0, Bytes::from_static(b"x"), 1).await;
        assert_eq!((refused, staging.used()), (Err(Errno::ENOSPC), 0));
    }

    #[tokio::test]
    async fn a_file_that_is_kept_stays_under_a_name_that_is_safe_anywhere() {
        let (directory, staging) = staging(1 << 20, 1 << 20, 0);
        let mut file = staging.create().unwrap();
        file.write(0, Bytes::from_static(b"half"), 4).await.unwrap();
        file.keep("../a b\u{1b}[2J.csv").unwrap();
        assert_eq!(file.read(0, 4).await.unwrap(), "half");
        drop(file);
        let kept = fs::read_dir(directory.path().join("kept")).unwrap();
        let names: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
        let [name] = &names[..] else {
            panic!("{names:?}");
        };
        assert!(
            name.to_str().unwrap().ends_with("-.._a_b__2J.csv"),
            "{name:?}"
        );
    }
}
