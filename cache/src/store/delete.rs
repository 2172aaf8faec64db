//! Deleting objects, one and many.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName};
use md5::{Digest, Md5};

use super::{ObjectStore, Route};
use crate::answer::by_code;
use crate::error::{ErrorKind, StoreError};
use crate::object::{DeleteFailure, Payload};
use crate::origin::Origin;
use crate::request::Request;
use crate::xml;

/// Keys of one request: S3's limit.
const BATCH_KEYS: usize = 1_000;

/// Single deletions at the same time, for keys that XML cannot hold and servers without batches.
const CONCURRENT_DELETIONS: usize = 16;

/// What AWS demands and others ignore; the newer checksums are not known everywhere.
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

impl ObjectStore {
    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let build = |origin: &Origin| Ok(Request::object(origin, Method::DELETE, key, &[]));
        match self.ask(Route::Write, build).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// Deletes any number of objects and gives those that could not be.
    ///
    /// An error means that it is not known which are left; asking again is safe.
    pub async fn delete_many(&self, keys: &[String]) -> Result<Vec<DeleteFailure>, StoreError> {
        let mut failures = Vec::new();
        for batch in keys.chunks(BATCH_KEYS) {
            let (together, single): (Vec<&str>, Vec<&str>) = batch
                .iter()
                .map(String::as_str)
                .partition(|key| xml::can_hold(key));
            failures.extend(self.delete_each(&single).await?);
            if together.is_empty() {
                continue;
            }
            failures.extend(match self.delete_batch(&together).await {
                Err(error) if *error.kind() == ErrorKind::Unsupported => {
                    self.delete_each(&together).await?
                }
                outcome => outcome?,
            });
        }
        Ok(failures)
    }

    async fn delete_batch(&self, keys: &[&str]) -> Result<Vec<DeleteFailure>, StoreError> {
        let build = |origin: &Origin| {
            let full: Vec<String> = keys
                .iter()
                .map(|key| format!("{}{key}", origin.prefix))
                .collect();
            let body = xml::delete(full.iter().map(String::as_str));
            let checksum = STANDARD.encode(Md5::digest(body.as_bytes()));
            Request::bucket(origin, Method::POST, &[("delete", "")])
                .payload(Payload::from(Bytes::from(body)))
                .slow()
                .header(CONTENT_TYPE, "application/xml")?
                .header(CONTENT_MD5, &checksum)
        };
        let answer = self.ask(Route::Write, build).await?;
        let failed = xml::delete_failures(&answer.body)
            .map_err(|kind| StoreError::new(kind, &answer.site.place))?;
        let prefix = &answer.site.origin.prefix;
        let failure = |(key, code): (String, String)| {
            let class = by_code(&code).map_or("SourceFailing", |kind| kind.class());
            let key = key.strip_prefix(prefix.as_str()).unwrap_or(&key).to_owned();
            DeleteFailure { key, class }
        };
        let missing = |failure: &DeleteFailure| failure.class == ErrorKind::NotFound.class();
        Ok(failed
            .into_iter()
            .map(failure)
            .filter(|failure| !missing(failure))
            .collect())
    }

    async fn delete_each(&self, keys: &[&str]) -> Result<Vec<DeleteFailure>, StoreError> {
        let delete = async |key: &&str| match self.delete(key).await {
            Ok(()) => Ok(None),
            Err(error) if *error.kind() == ErrorKind::AccessDenied => Ok(Some(DeleteFailure {
                key: (*key).to_owned(),
                class: error.class(),
            })),
            Err(error) => Err(error),
        };
        let outcomes: Vec<_> = stream::iter(keys)
            .map(delete)
            .buffer_unordered(CONCURRENT_DELETIONS)
            .try_collect()
            .await?;
        Ok(outcomes.into_iter().flatten().collect())
    }
}
