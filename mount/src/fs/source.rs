//! The file system's view of the object store: keys, versions and error numbers.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use dlf_cache::{
    ETag, ErrorKind, ListRequest, Object, ObjectMeta, ObjectStore, Payload, StoreError,
    UsageSnapshot, read_range,
};
use fuser::Errno;

pub(crate) use dlf_cache::{Part, PutCondition, Upload};

use super::key::{Key, Root};
use super::listing::Page;
use super::names::Version;

/// A failing source fails with every request; one line in this time says it.
const COMPLAINT_EVERY: Duration = Duration::from_secs(30);

/// Keys whose last failure is remembered: of the writes that fail at the same time.
const FAILURES_MAX: usize = 1024;

/// The objects of one root.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    store: ObjectStore,
    root: Arc<Root>,
    complained: Arc<Mutex<Option<(&'static str, Instant)>>>,
    /// What the source said of a key that could not be written, until somebody asks.
    failures: Arc<Mutex<HashMap<Key, (Errno, StoreError)>>>,
}

impl Source {
    /// Where the store's origins say.
    pub(crate) fn new(store: ObjectStore) -> Self {
        Self {
            store,
            root: Root::new("", None),
            complained: Arc::default(),
            failures: Arc::default(),
        }
    }

    /// The same source as another root sees it.
    pub(crate) fn of(&self, root: &Arc<Root>) -> Self {
        Self {
            store: self.store.at(root.location()),
            root: root.clone(),
            complained: self.complained.clone(),
            failures: self.failures.clone(),
        }
    }

    /// The same for all requests of one operation that begins now; see
    /// [`ObjectStore::of_one_operation`].
    pub(crate) fn of_one_operation(&self) -> Self {
        Self {
            store: self.store.of_one_operation(),
            ..self.clone()
        }
    }

    /// Whether the source has answered nobody for so long.
    pub(crate) fn is_silent(&self, time: Duration) -> bool {
        self.store.is_silent(time)
    }

    /// The client beneath, for readers.
    pub(crate) fn store(&self) -> &ObjectStore {
        &self.store
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
        let mut continuation = None;
        loop {
            let page = self.keys(prefix, continuation, Some(1)).await?;
            continuation = page.next;
            // A page may be empty and not the last.
            if !page.objects.is_empty() || continuation.is_none() {
                return Ok(!page.objects.is_empty());
            }
        }
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

    /// Reads a range that lies within a version. `ESTALE` if the object is no longer that version.
    pub(crate) async fn read(
        &self,
        key: &str,
        version: &Version,
        range: Range<u64>,
    ) -> Result<Bytes, Errno> {
        let read = read_range(&self.store, &object(key, version), range).await;
        read.map_err(|error| self.read_errno(&error))
    }

    /// Writes an object whole. `EEXIST` if it was to be new and is not, `ESTALE` if it was to
    /// replace a version that is not there any more.
    pub(crate) async fn put(
        &self,
        key: &str,
        body: impl Into<Payload>,
        condition: PutCondition,
    ) -> Result<Arc<str>, Errno> {
        let put = self.store.put(key, body, condition.clone()).await;
        self.written(key, put, &condition)
    }

    /// The version that was written, or why none was.
    fn written(
        &self,
        key: &str,
        outcome: Result<ETag, StoreError>,
        condition: &PutCondition,
    ) -> Result<Arc<str>, Errno> {
        match (outcome, condition) {
            (Ok(etag), _) => Ok(Arc::from(etag.as_str())),
            (Err(error), PutCondition::IfNoneMatch)
                if *error.kind() == ErrorKind::PreconditionFailed =>
            {
                Err(Errno::EEXIST)
            }
            // To some stores a version that was removed is no version that does not match.
            (Err(error), PutCondition::IfMatch(_)) if *error.kind() == ErrorKind::NotFound => {
                Err(Errno::ESTALE)
            }
            (Err(error), _) => Err(self.write_errno(key, &error)),
        }
    }

    pub(crate) async fn start_upload(&self, key: &str) -> Result<Upload, Errno> {
        let upload = self.store.start_multipart(key).await;
        upload.map_err(|error| self.write_errno(key, &error))
    }

    pub(crate) async fn upload_part(
        &self,
        upload: &Upload,
        number: u16,
        body: Payload,
    ) -> Result<Part, Errno> {
        let part = self.store.upload_part(upload, number, body).await;
        part.map_err(|error| self.write_errno(&upload.key, &error))
    }

    /// Makes the parts the object; errors as for [`Self::put`].
    pub(crate) async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: PutCondition,
    ) -> Result<Arc<str>, Errno> {
        let completed = self.store.complete(upload, parts, condition.clone()).await;
        self.written(&upload.key, completed, &condition)
    }

    pub(crate) async fn abort_upload(&self, upload: &Upload) -> Result<(), Errno> {
        let aborted = self.store.abort(upload).await;
        aborted.map_err(|error| self.errno(&error))
    }

    /// Copies a version inside the store, to what may be another version of the same bytes.
    /// `ENOENT` if it has gone, `ESTALE` if it was replaced.
    pub(crate) async fn copy(
        &self,
        from: &str,
        version: &Version,
        to: &str,
    ) -> Result<Version, Errno> {
        match self.store.copy(&meta(from, version), to).await {
            Ok(copied) => Ok(Version {
                etag: Arc::from(copied.etag.as_str()),
                size: version.size,
                modified: copied.last_modified.unwrap_or_else(SystemTime::now),
            }),
            Err(error) => Err(self.errno(&error)),
        }
    }

    /// Copies a range of a version into an upload, inside the store.
    pub(crate) async fn copy_part(
        &self,
        from: &str,
        version: &Version,
        range: Range<u64>,
        upload: &Upload,
        number: u16,
    ) -> Result<Part, Errno> {
        let from = meta(from, version);
        let part = self.store.copy_part(&from, range, upload, number).await;
        part.map_err(|error| self.write_errno(&upload.key, &error))
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), Errno> {
        let deleted = self.store.delete(key).await;
        deleted.map_err(|error| self.errno(&error))
    }

    /// Deletes a version, and nothing if there is another: `ESTALE`.
    pub(crate) async fn delete_version(&self, key: &str, version: &Version) -> Result<(), Errno> {
        let etag = ETag::from_wire(&version.etag);
        let deleted = self.store.delete_version(key, &etag).await;
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
    pub(crate) fn read_errno(&self, error: &StoreError) -> Errno {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::RangeNotSatisfiable => Errno::ESTALE,
            _ => self.errno(error),
        }
    }

    /// What the source said last of a key that could not be written, if that became this error
    /// number. It says so once.
    pub(crate) fn why(&self, key: &Key, errno: Errno) -> Option<StoreError> {
        let mut failures = self.failures();
        let (said, error) = failures.remove(key)?;
        (said == errno).then_some(error)
    }

    fn write_errno(&self, key: &str, error: &StoreError) -> Errno {
        let errno = self.errno(error);
        let mut failures = self.failures();
        if failures.len() >= FAILURES_MAX {
            failures.clear();
        }
        failures.insert(self.root.key(&[key]), (errno, error.clone()));
        errno
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Key, (Errno, StoreError)>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
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
            | ErrorKind::KeysExpired
            | ErrorKind::AddressNotAllowed { .. } => Errno::EACCES,
            ErrorKind::NoSpace => Errno::ENOSPC,
            ErrorKind::KeyTooLong => Errno::ENAMETOOLONG,
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

/// What a read is of.
pub(crate) fn object(key: &str, version: &Version) -> Object {
    Object {
        key: key.to_owned(),
        etag: ETag::from_wire(&version.etag),
        size: version.size,
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
