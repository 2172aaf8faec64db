//! The store: what callers see.

use std::ops::Range;
use std::time::Duration;

use dlf_core::network::AddressRules;

use crate::body::ObjectBody;
use crate::error::StoreError;
use crate::object::{
    BucketCreation, DeleteFailure, ETag, ListPage, ListRequest, ObjectMeta, Part, Payload,
    PutCondition, Upload, UploadPage,
};
use crate::options::ClientOptions;
use crate::origin::{ConfigError, Origin};
use crate::usage::UsageSnapshot;

/// A client of one dataset's objects; clones share connections, configuration and accounting.
///
/// Origins are ordered: a read asks the first and goes on to the next where one cannot answer; the
/// last is the source, and writes and buckets are its business alone.
///
/// Keys are relative to each origin's prefix and may hold any character but NUL.
///
/// Failures that may pass are retried with growing, jittered pauses until the operation has gone
/// [`ClientOptions::source_timeout`] without progress; so every operation ends.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    _private: (),
}

#[allow(clippy::unused_async)]
impl ObjectStore {
    /// A client of `origins`; nothing is dialled yet.
    pub fn new(origins: Vec<Origin>, options: ClientOptions) -> Result<Self, ConfigError> {
        unimplemented!("{origins:?} {options:?}")
    }

    /// Replaces the origins between two requests: keys, endpoint, CA, order. Requests in flight
    /// finish as they began; their retries are sent to the new origins.
    pub fn reconfigure(&self, origins: Vec<Origin>) -> Result<(), ConfigError> {
        unimplemented!("{origins:?}")
    }

    /// Replaces the address rules. Connections made under the old ones are not used again.
    pub fn set_rules(&self, rules: AddressRules) -> Result<(), ConfigError> {
        unimplemented!("{rules:?}")
    }

    /// The same store with another [`ClientOptions::source_timeout`]: a probe asks for 10 s.
    #[must_use]
    pub fn with_timeout(&self, source_timeout: Duration) -> Self {
        unimplemented!("{source_timeout:?}")
    }

    /// What this store and its clones have done.
    #[must_use]
    pub fn usage(&self) -> UsageSnapshot {
        unimplemented!()
    }

    /// Size and version of one object.
    pub async fn head(&self, key: &str) -> Result<ObjectMeta, StoreError> {
        unimplemented!("{key}")
    }

    /// Bytes of one object: `range` may reach beyond its end and is cut there; `u64::MAX` as its
    /// end means all that follows. It must not be empty and not begin behind the object's end
    /// ([`crate::ErrorKind::RangeNotSatisfiable`]).
    ///
    /// With `if_match` the answer is of that version or [`crate::ErrorKind::PreconditionFailed`].
    pub async fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
        if_match: Option<&ETag>,
    ) -> Result<ObjectBody, StoreError> {
        unimplemented!("{key} {range:?} {if_match:?}")
    }

    /// One page of keys.
    pub async fn list(&self, request: &ListRequest) -> Result<ListPage, StoreError> {
        unimplemented!("{request:?}")
    }

    /// Writes an object whole and gives its new version.
    pub async fn put(
        &self,
        key: &str,
        body: impl Into<Payload>,
        condition: PutCondition,
    ) -> Result<ETag, StoreError> {
        unimplemented!("{key} {:?} {condition:?}", body.into())
    }

    /// Begins an upload in parts.
    pub async fn start_multipart(&self, key: &str) -> Result<Upload, StoreError> {
        unimplemented!("{key}")
    }

    /// Sends one part, `number` from 1 to 10,000; all but the last must hold at least 5 MiB.
    pub async fn upload_part(
        &self,
        upload: &Upload,
        number: u16,
        body: impl Into<Payload>,
    ) -> Result<Part, StoreError> {
        unimplemented!("{upload:?} {number} {:?}", body.into())
    }

    /// Makes the parts, in the order of their numbers, the object, and gives its version.
    pub async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<ETag, StoreError> {
        unimplemented!("{upload:?} {parts:?}")
    }

    /// Drops an upload and its parts; one that is not there any more is no error.
    pub async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        unimplemented!("{upload:?}")
    }

    /// Copies exactly the version `from` to the key `to` inside the store; no data passes here.
    pub async fn copy(&self, from: &ObjectMeta, to: &str) -> Result<ETag, StoreError> {
        unimplemented!("{from:?} {to:?}")
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        unimplemented!("{key}")
    }

    /// Deletes any number of objects and gives those that could not be.
    pub async fn delete_many(&self, keys: &[String]) -> Result<Vec<DeleteFailure>, StoreError> {
        unimplemented!("{keys:?}")
    }

    /// Whether the bucket is there. Another's bucket is [`crate::ErrorKind::AccessDenied`].
    pub async fn bucket_exists(&self) -> Result<bool, StoreError> {
        unimplemented!()
    }

    /// Makes the bucket, in the origin's region.
    pub async fn create_bucket(&self) -> Result<BucketCreation, StoreError> {
        unimplemented!()
    }

    /// Deletes the bucket, which must be empty; one that is not there is no error.
    pub async fn delete_bucket(&self) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// The bucket's tags; none if it never had any.
    pub async fn bucket_tags(&self) -> Result<Vec<(String, String)>, StoreError> {
        unimplemented!()
    }

    /// Replaces the bucket's tags.
    pub async fn put_bucket_tags(&self, tags: &[(String, String)]) -> Result<(), StoreError> {
        unimplemented!("{tags:?}")
    }

    /// Unfinished uploads whose keys begin with `prefix`.
    pub async fn list_uploads(&self, prefix: &str) -> Result<UploadPage, StoreError> {
        unimplemented!("{prefix}")
    }
}
