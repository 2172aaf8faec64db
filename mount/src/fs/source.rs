//! The file system's view of the object store: keys, versions and error numbers.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use dlf_cache::{
    ETag, ErrorKind, ListRequest, ObjectMeta, ObjectStore, PutCondition, StoreError, UsageSnapshot,
};
use fuser::Errno;
use futures::future::try_join_all;

pub(crate) use dlf_cache::{Part as UploadedPart, Upload as UploadId};

use super::inode::Version;
use super::listing::Page;

/// A failing source fails with every request; one line in this time says it.
const COMPLAINT_EVERY: Duration = Duration::from_secs(30);

/// Longest piece of a single read, in bytes. Two halves of 512 KiB arrive sooner than the whole from
/// a store that gives each connection a share of its speed; `SeaweedFS` 4.48 takes 1.9 ms up to here
/// and 5 ms for a byte more. The kernel asks for 1 MiB at most, which makes four pieces.
const PIECE_BYTES_MAX: u64 = 256 * 1024;

/// Which object a read is from. It is asked anew for each request, since a rename moves the key.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub key: String,
    pub etag: Arc<str>,
    pub size: u64,
}

/// One dataset's objects.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    store: ObjectStore,
    complained: Arc<Mutex<Option<(&'static str, Instant)>>>,
}

impl Source {
    pub(crate) fn new(store: ObjectStore) -> Self {
        Self {
            store,
            complained: Arc::default(),
        }
    }

    pub(crate) fn usage(&self) -> UsageSnapshot {
        self.store.usage()
    }

    /// What is at a key; `None` for nothing.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Version>, Errno> {
        match self.store.head(key).await {
            Ok(meta) => Ok(Some(version(&meta))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(self.errno(&error)),
        }
    }

    /// Whether any key begins with `prefix`.
    pub(crate) async fn any_below(&self, prefix: &str) -> Result<bool, Errno> {
        let page = self.keys(prefix, None, Some(1)).await?;
        Ok(!page.objects.is_empty())
    }

    /// One page of the keys that begin with `prefix`, however deep.
    pub(crate) async fn keys(
        &self,
        prefix: &str,
        continuation: Option<String>,
        max_keys: Option<u16>,
    ) -> Result<Page, Errno> {
        self.page(ListRequest {
            prefix: prefix.to_owned(),
            continuation,
            max_keys,
            ..ListRequest::default()
        })
        .await
    }

    /// One page of a directory.
    pub(crate) async fn directory(
        &self,
        prefix: &str,
        continuation: Option<String>,
    ) -> Result<Page, Errno> {
        self.page(ListRequest {
            prefix: prefix.to_owned(),
            delimiter: true,
            continuation,
            ..ListRequest::default()
        })
        .await
    }

    async fn page(&self, request: ListRequest) -> Result<Page, Errno> {
        let page = self.store.list(&request).await;
        let page = page.map_err(|error| self.errno(&error))?;
        let objects = page.objects.into_iter();
        Ok(Page {
            objects: objects
                .map(|meta| {
                    let version = version(&meta);
                    (meta.key, version)
                })
                .collect(),
            prefixes: page.common_prefixes,
            next: page.next,
        })
    }

    /// Reads a range that lies within the object, as several pieces at once if it is long. `ESTALE`
    /// if it is no longer that version.
    pub(crate) async fn read(&self, target: &Target, range: Range<u64>) -> Result<Bytes, Errno> {
        let length = range.end - range.start;
        let piece = length.div_ceil(length.div_ceil(PIECE_BYTES_MAX).max(1));
        if piece == length {
            return self.read_piece(target, range).await;
        }
        let mut pieces = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + piece);
            pieces.push(self.read_piece(target, at..end));
            at = end;
        }
        let mut whole = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        for piece in try_join_all(pieces).await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    async fn read_piece(&self, target: &Target, range: Range<u64>) -> Result<Bytes, Errno> {
        let length = range.end - range.start;
        let etag = ETag::from_wire(&target.etag);
        let body = self.store.get_range(&target.key, range, Some(&etag)).await;
        let body = body.map_err(|error| self.read_errno(&error))?;
        let bytes = body.collect().await;
        let bytes = bytes.map_err(|error| self.read_errno(&error))?;
        if bytes.len() as u64 != length {
            return Err(Errno::EIO);
        }
        Ok(bytes)
    }

    /// Reads a range and hands its bytes over as they come, until `take` returns `false`.
    /// `EIO` if the source has fewer.
    pub(crate) async fn stream(
        &self,
        target: &Target,
        range: Range<u64>,
        mut take: impl FnMut(Bytes) -> bool,
    ) -> Result<(), Errno> {
        let etag = ETag::from_wire(&target.etag);
        let body = self.store.get_range(&target.key, range, Some(&etag)).await;
        let mut body = body.map_err(|error| self.read_errno(&error))?;
        while let Some(chunk) = body.next_chunk().await {
            if !take(chunk.map_err(|error| self.read_errno(&error))?) {
                return Ok(());
            }
        }
        Err(Errno::EIO)
    }

    /// Writes an object whole. With `exclusive`, `EEXIST` if there is one.
    pub(crate) async fn put(
        &self,
        key: &str,
        body: Bytes,
        exclusive: bool,
    ) -> Result<Arc<str>, Errno> {
        let condition = if exclusive {
            PutCondition::IfNoneMatch
        } else {
            PutCondition::None
        };
        match self.store.put(key, body, condition).await {
            Ok(etag) => Ok(Arc::from(etag.as_str())),
            Err(error) if matches!(error.kind(), ErrorKind::PreconditionFailed) => {
                Err(Errno::EEXIST)
            }
            Err(error) => Err(self.errno(&error)),
        }
    }

    pub(crate) async fn start_upload(&self, key: &str) -> Result<UploadId, Errno> {
        let upload = self.store.start_multipart(key).await;
        upload.map_err(|error| self.errno(&error))
    }

    pub(crate) async fn upload_part(
        &self,
        upload: &UploadId,
        number: u16,
        body: Bytes,
    ) -> Result<UploadedPart, Errno> {
        let part = self.store.upload_part(upload, number, body).await;
        part.map_err(|error| self.errno(&error))
    }

    pub(crate) async fn complete_upload(
        &self,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Arc<str>, Errno> {
        match self.store.complete(upload, parts).await {
            Ok(etag) => Ok(Arc::from(etag.as_str())),
            Err(error) => Err(self.errno(&error)),
        }
    }

    pub(crate) async fn abort_upload(&self, upload: &UploadId) -> Result<(), Errno> {
        let aborted = self.store.abort(upload).await;
        aborted.map_err(|error| self.errno(&error))
    }

    /// Copies a version inside the store; the copy's `ETag` is returned, which may be another.
    /// `ENOENT` if it has gone, `ESTALE` if it was replaced.
    pub(crate) async fn copy(
        &self,
        from: &str,
        version: &Version,
        to: &str,
    ) -> Result<Arc<str>, Errno> {
        match self.store.copy(&meta(from, version), to).await {
            Ok(etag) => Ok(Arc::from(etag.as_str())),
            Err(error) => Err(self.errno(&error)),
        }
    }

    /// Copies a range of a version into an upload, inside the store.
    pub(crate) async fn copy_part(
        &self,
        from: &str,
        version: &Version,
        range: Range<u64>,
        upload: &UploadId,
        number: u16,
    ) -> Result<UploadedPart, Errno> {
        let from = meta(from, version);
        let part = self.store.copy_part(&from, range, upload, number).await;
        part.map_err(|error| self.errno(&error))
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), Errno> {
        let deleted = self.store.delete(key).await;
        deleted.map_err(|error| self.errno(&error))
    }

    /// Deletes many objects; an error if any of them stays.
    pub(crate) async fn delete_many(&self, keys: &[String]) -> Result<(), Errno> {
        let failures = self.store.delete_many(keys).await;
        let failures = failures.map_err(|error| self.errno(&error))?;
        match failures.first() {
            None => Ok(()),
            Some(failure) if failure.class == "AccessDenied" => Err(Errno::EACCES),
            Some(_) => Err(Errno::EIO),
        }
    }

    /// A reader holds a version that was there: if it is not, it was replaced or deleted.
    fn read_errno(&self, error: &StoreError) -> Errno {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::RangeNotSatisfiable => Errno::ESTALE,
            _ => self.errno(error),
        }
    }

    /// The error number a program sees, and now and then a line in the log.
    fn errno(&self, error: &StoreError) -> Errno {
        match error.kind() {
            ErrorKind::NotFound => return Errno::ENOENT,
            ErrorKind::PreconditionFailed => return Errno::ESTALE,
            _ => self.complain(error),
        }
        match error.kind() {
            ErrorKind::AccessDenied
            | ErrorKind::KeysRejected
            | ErrorKind::AddressNotAllowed { .. } => Errno::EACCES,
            ErrorKind::NoSpace => Errno::ENOSPC,
            ErrorKind::Unsupported => Errno::EOPNOTSUPP,
            _ => Errno::EIO,
        }
    }

    fn complain(&self, error: &StoreError) {
        let mut last = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let quiet = last
            .is_some_and(|(class, at)| class == error.class() && at.elapsed() < COMPLAINT_EVERY);
        if !quiet {
            tracing::warn!(class = error.class(), %error, "the source fails");
            *last = Some((error.class(), Instant::now()));
        }
    }
}

fn version(meta: &ObjectMeta) -> Version {
    Version {
        etag: Arc::from(meta.etag.as_str()),
        size: meta.size,
        modified: meta.last_modified.unwrap_or(SystemTime::UNIX_EPOCH),
    }
}

fn meta(key: &str, version: &Version) -> ObjectMeta {
    ObjectMeta {
        key: key.to_owned(),
        size: version.size,
        etag: ETag::from_wire(&version.etag),
        last_modified: None,
    }
}
