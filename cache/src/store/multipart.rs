//! Uploads in parts.

use bytes::Bytes;
use futures::future::try_join_all;
use http::{HeaderMap, Method};

use super::proof::{Proof, etag_of};
use super::{ObjectStore, Route};
use crate::answer::etag;
use crate::error::{ErrorKind, StoreError};
use crate::object::{ETag, Part, Payload, PutCondition, Upload, UploadPage, WriteToken};
use crate::origin::Origin;
use crate::request::Request;
use crate::xml;

/// Uploads on one page: they are aborted one by one, which takes longer than listing them.
const UPLOADS_MAX: u16 = 100;

/// Uploads aborted at the same time: as many as deletions.
const CONCURRENT_ABORTIONS: usize = 16;

impl ObjectStore {
    /// Begins an upload in parts. Its object will carry a random token (metadata `dlf-upload`), by
    /// which [`Self::complete`] knows it.
    ///
    /// If the answer is lost, a second upload is begun and the first one stays, empty, until
    /// [`Self::list_uploads`] finds it.
    pub async fn start_multipart(&self, key: &str) -> Result<Upload, StoreError> {
        self.start_multipart_with(key, &HeaderMap::new()).await
    }

    /// As [`Self::start_multipart`], of an object with `metadata`.
    pub(super) async fn start_multipart_with(
        &self,
        key: &str,
        metadata: &HeaderMap,
    ) -> Result<Upload, StoreError> {
        let query = [("uploads", "")];
        let token = WriteToken::random();
        let build = |origin: &Origin| {
            Request::object(origin, Method::POST, key, &query)
                .headers(metadata)
                .token(&token)
        };
        let answer = self.ask(Route::Source, build).await?;
        let id = xml::upload_id(&answer.body)
            .map_err(|kind| StoreError::new(kind, &answer.client.place))?;
        Ok(Upload {
            key: key.to_owned(),
            id,
            initiated: None,
            token: Some(token),
        })
    }

    /// Sends one part, `number` from 1 to 10,000; all but the last must hold at least 5 MiB.
    pub async fn upload_part(
        &self,
        upload: &Upload,
        number: u16,
        body: impl Into<Payload>,
    ) -> Result<Part, StoreError> {
        let body = body.into();
        let text = number.to_string();
        let query = [("partNumber", text.as_str()), ("uploadId", &upload.id)];
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::PUT, &upload.key, &query);
            Ok(request.payload(body.clone()))
        };
        let answer = self.ask(Route::Source, build).await?;
        let etag =
            etag(&answer.headers).map_err(|kind| StoreError::new(kind, &answer.client.place))?;
        Ok(Part {
            number,
            size: body.len(),
            etag,
        })
    }

    /// Makes the parts, in the order of their numbers, the object, and gives its version.
    ///
    /// Under a condition that does not hold, [`ErrorKind::PreconditionFailed`]: then, as after any
    /// other error, the upload may be there still and is the caller's to abort. An attempt whose
    /// answer was lost is a success if the object proves to be its work, and else an error
    /// ([`ErrorKind::NoSuchUpload`]).
    pub async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: PutCondition,
    ) -> Result<ETag, StoreError> {
        let query = [("uploadId", upload.id.as_str())];
        let body = Payload::from(Bytes::from(xml::complete(parts)));
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::POST, &upload.key, &query);
            request.payload(body.clone()).slow().condition(&condition)
        };
        let (outcome, failures) = self.ask_counting(Route::Source, build).await;
        match outcome {
            Err(error) if failures > 0 && may_be_done(error.kind()) => {
                let unconditional = condition == PutCondition::None;
                let proof = Proof {
                    token: upload.token.as_ref(),
                    etag: unconditional.then(|| etag_of(parts)).flatten(),
                };
                self.proven(&upload.key, &proof).await.ok_or(error)
            }
            outcome => {
                let answer = outcome?;
                xml::new_etag(&answer.body, "CompleteMultipartUploadResult")
                    .map_err(|kind| StoreError::new(kind, &answer.client.place))
            }
        }
    }

    /// Drops an upload and its parts; one that is not there any more is no error.
    pub async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        let query = [("uploadId", upload.id.as_str())];
        let build =
            |origin: &Origin| Ok(Request::object(origin, Method::DELETE, &upload.key, &query));
        match self.ask(Route::Source, build).await {
            Err(error) if is_gone(error.kind()) => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    /// As [`Self::abort`], of several: there is no request for many.
    pub async fn abort_many(&self, uploads: &[Upload]) -> Result<(), StoreError> {
        for some in uploads.chunks(CONCURRENT_ABORTIONS) {
            try_join_all(some.iter().map(|upload| self.abort(upload))).await?;
        }
        Ok(())
    }

    /// Unfinished uploads whose keys begin with `prefix`.
    pub async fn list_uploads(&self, prefix: &str) -> Result<UploadPage, StoreError> {
        let most = UPLOADS_MAX.to_string();
        let build = |origin: &Origin| {
            let prefix = format!("{}{prefix}", origin.prefix);
            let query = [
                ("uploads", ""),
                ("encoding-type", "url"),
                ("prefix", &prefix),
                ("max-uploads", &most),
            ];
            Ok(Request::bucket(origin, Method::GET, &query).page_of(Some(UPLOADS_MAX)))
        };
        let answer = self.ask(Route::Source, build).await?;
        xml::upload_page(&answer.body, &answer.client.origin.prefix)
            .map_err(|kind| StoreError::new(kind, &answer.client.place))
    }
}

/// Whether a completion is refused so when an earlier attempt has completed the upload: it is gone,
/// or the condition fails because of our own object.
fn may_be_done(kind: &ErrorKind) -> bool {
    is_gone(kind) || *kind == ErrorKind::PreconditionFailed
}

fn is_gone(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::NoSuchUpload | ErrorKind::NotFound)
}
