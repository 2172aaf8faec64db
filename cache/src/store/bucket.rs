//! The bucket itself: the worker makes, marks and removes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http::header::HeaderName;
use md5::{Digest, Md5};

use super::{ObjectStore, Route};
use crate::error::{ErrorKind, StoreError};
use crate::object::{BucketCreation, Payload};
use crate::origin::Origin;
use crate::request::Request;
use crate::xml;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

impl ObjectStore {
    /// Whether the bucket is there. Another's bucket is [`ErrorKind::AccessDenied`].
    pub async fn bucket_exists(&self) -> Result<bool, StoreError> {
        let build = |origin: &Origin| Ok(Request::bucket(origin, Method::HEAD, &[]));
        match self.ask(Route::Source, build).await {
            Ok(_) => Ok(true),
            Err(error) if *error.kind() == ErrorKind::NoSuchBucket => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the bucket, in the origin's region.
    ///
    /// After a lost answer its own bucket counts as [`BucketCreation::Created`].
    pub async fn create_bucket(&self) -> Result<BucketCreation, StoreError> {
        let build = |origin: &Origin| {
            let request = Request::bucket(origin, Method::PUT, &[]);
            // The default region is the one that must not be named.
            Ok(match origin.region.as_str() {
                "" | Origin::DEFAULT_REGION => request,
                region => request.payload(Payload::from(Bytes::from(xml::location(region)))),
            })
        };
        let (outcome, failures) = self.ask_counting(Route::Source, build).await;
        match outcome {
            Ok(_) => Ok(BucketCreation::Created),
            Err(error) if *error.kind() == ErrorKind::BucketAlreadyOwned => Ok(match failures {
                0 => BucketCreation::AlreadyOwned,
                _ => BucketCreation::Created,
            }),
            Err(error) => Err(error),
        }
    }

    /// Deletes the bucket, which must be empty; one that is not there is no error.
    pub async fn delete_bucket(&self) -> Result<(), StoreError> {
        let build = |origin: &Origin| Ok(Request::bucket(origin, Method::DELETE, &[]));
        match self.ask(Route::Source, build).await {
            Err(error) if *error.kind() == ErrorKind::NoSuchBucket => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// The bucket's tags; none if it never had any.
    pub async fn bucket_tags(&self) -> Result<Vec<(String, String)>, StoreError> {
        let query = [("tagging", "")];
        let build = |origin: &Origin| Ok(Request::bucket(origin, Method::GET, &query));
        let answer = match self.ask(Route::Source, build).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            outcome => outcome?,
        };
        xml::tags(&answer.body).map_err(|kind| StoreError::new(kind, &answer.client.place))
    }

    /// Replaces the bucket's tags.
    pub async fn put_bucket_tags(&self, tags: &[(String, String)]) -> Result<(), StoreError> {
        let body = xml::tagging(tags);
        let checksum = STANDARD.encode(Md5::digest(body.as_bytes()));
        let body = Payload::from(Bytes::from(body));
        let build = |origin: &Origin| {
            Request::bucket(origin, Method::PUT, &[("tagging", "")])
                .payload(body.clone())
                .header(CONTENT_MD5, &checksum)
        };
        self.ask(Route::Source, build).await.map(|_| ())
    }
}
