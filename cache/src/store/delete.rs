//! Deleting objects, one and many.

use std::collections::HashSet;

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
use crate::object::{DeleteFailure, ObjectVersion, Payload};
use crate::origin::Origin;
use crate::request::Request;
use crate::xml;

/// Keys of one request: S3's limit.
const BATCH_KEYS: usize = 1_000;

/// Single deletions at the same time, for keys that XML cannot hold and servers without batches.
const CONCURRENT_DELETIONS: usize = 16;

/// What AWS demands and others ignore; the newer checksums are not known everywhere.
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// An object, or one version of it.
#[derive(Clone, Copy)]
struct ObjectIdentifier<'a> {
    key: &'a str,
    version: Option<&'a str>,
}

/// What a batch left, and why, as far as the tables know.
struct Kept {
    key: String,
    kind: Option<ErrorKind>,
}

impl Kept {
    fn may_pass(&self) -> bool {
        self.kind.as_ref().is_some_and(ErrorKind::may_pass)
    }
}

impl From<Kept> for DeleteFailure {
    fn from(Kept { key, kind }: Kept) -> Self {
        let class = kind.map_or("SourceFailing", |kind| kind.class());
        Self { key, class }
    }
}

impl ObjectStore {
    /// Deletes an object, whatever its version ([`Self::delete_version`] is for one); one that is
    /// not there is no error. A bucket that keeps versions keeps this one.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let version = None;
        self.delete_one(ObjectIdentifier { key, version }).await
    }

    /// Deletes any number of objects and gives those that could not be.
    ///
    /// An error means that it is not known which are left; asking again is safe.
    pub async fn delete_many(&self, keys: &[String]) -> Result<Vec<DeleteFailure>, StoreError> {
        let objects = keys
            .iter()
            .map(|key| ObjectIdentifier { key, version: None });
        self.delete_all(&objects.collect::<Vec<_>>()).await
    }

    /// Deletes versions and marks of deletion for good, and gives those that could not be; as
    /// [`Self::delete_many`].
    pub async fn delete_versions(
        &self,
        versions: &[ObjectVersion],
    ) -> Result<Vec<DeleteFailure>, StoreError> {
        let objects = versions.iter().map(|version| ObjectIdentifier {
            key: &version.key,
            version: Some(&version.id),
        });
        self.delete_all(&objects.collect::<Vec<_>>()).await
    }

    async fn delete_one(&self, object: ObjectIdentifier<'_>) -> Result<(), StoreError> {
        let query: Vec<_> = object
            .version
            .map(|id| ("versionId", id))
            .into_iter()
            .collect();
        let build =
            |origin: &Origin| Ok(Request::object(origin, Method::DELETE, object.key, &query));
        match self.ask(Route::Source, build).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    async fn delete_all(
        &self,
        objects: &[ObjectIdentifier<'_>],
    ) -> Result<Vec<DeleteFailure>, StoreError> {
        let mut failures = Vec::new();
        for batch in objects.chunks(BATCH_KEYS) {
            let (together, single): (Vec<ObjectIdentifier<'_>>, Vec<ObjectIdentifier<'_>>) =
                batch.iter().partition(|object| xml::can_hold(object.key));
            failures.extend(self.delete_each(&single).await?);
            if together.is_empty() {
                continue;
            }
            failures.extend(match self.delete_batch(together.clone()).await {
                Err(error) if *error.kind() == ErrorKind::Unsupported => {
                    self.delete_each(&together).await?
                }
                outcome => outcome?,
            });
        }
        Ok(failures)
    }

    /// Deletes together; what the server puts off is asked for again as long as that may help.
    async fn delete_batch(
        &self,
        mut batch: Vec<ObjectIdentifier<'_>>,
    ) -> Result<Vec<DeleteFailure>, StoreError> {
        let mut retries = self.retries();
        let mut failures = Vec::new();
        while !batch.is_empty() {
            let kept = self
                .with_timeout(retries.remaining())
                .try_batch(&batch)
                .await?;
            let (put_off, refused): (Vec<Kept>, Vec<Kept>) =
                kept.into_iter().partition(Kept::may_pass);
            failures.extend(refused.into_iter().map(DeleteFailure::from));
            if !put_off.is_empty() && !retries.pause().await {
                failures.extend(put_off.into_iter().map(DeleteFailure::from));
                break;
            }
            let again: HashSet<&str> = put_off.iter().map(|kept| kept.key.as_str()).collect();
            batch.retain(|object| again.contains(object.key));
        }
        Ok(failures)
    }

    async fn try_batch(&self, batch: &[ObjectIdentifier<'_>]) -> Result<Vec<Kept>, StoreError> {
        let build = |origin: &Origin| {
            let full = |object: &ObjectIdentifier<'_>| format!("{}{}", origin.prefix, object.key);
            let body = xml::delete(batch.iter().map(|object| (full(object), object.version)));
            let checksum = STANDARD.encode(Md5::digest(body.as_bytes()));
            Request::bucket(origin, Method::POST, &[("delete", "")])
                .payload(Payload::from(Bytes::from(body)))
                .slow()
                .page_of(u16::try_from(batch.len()).ok())
                .header(CONTENT_TYPE, "application/xml")?
                .header(CONTENT_MD5, &checksum)
        };
        let answer = self.ask(Route::Source, build).await?;
        let failed = xml::delete_failures(&answer.body)
            .map_err(|kind| StoreError::new(kind, &answer.client.place))?;
        let prefix = &answer.client.origin.prefix;
        let kept = |(key, code): (String, String)| Kept {
            key: key.strip_prefix(prefix.as_str()).unwrap_or(&key).to_owned(),
            kind: by_code(&code),
        };
        Ok(failed
            .into_iter()
            .map(kept)
            .filter(|kept| kept.kind != Some(ErrorKind::NotFound))
            .collect())
    }

    async fn delete_each(
        &self,
        single: &[ObjectIdentifier<'_>],
    ) -> Result<Vec<DeleteFailure>, StoreError> {
        let delete = async |object: &ObjectIdentifier<'_>| match self.delete_one(*object).await {
            Ok(()) => Ok(None),
            Err(error) if *error.kind() == ErrorKind::AccessDenied => Ok(Some(DeleteFailure {
                key: object.key.to_owned(),
                class: error.class(),
            })),
            Err(error) => Err(error),
        };
        let outcomes: Vec<_> = stream::iter(single)
            .map(delete)
            .buffer_unordered(CONCURRENT_DELETIONS)
            .try_collect()
            .await?;
        Ok(outcomes.into_iter().flatten().collect())
    }
}
