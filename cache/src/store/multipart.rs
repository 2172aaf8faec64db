//! Uploads in parts.

use bytes::Bytes;
use futures::future::try_join_all;
use http::Method;

use super::{ObjectStore, Route};
use crate::answer::etag;
use crate::error::{ErrorKind, StoreError};
use crate::object::{ETag, Part, Payload, Upload, UploadPage};
use crate::origin::Origin;
use crate::request::Request;
use crate::xml;

/// Uploads on one page: they are aborted one by one, which takes longer than listing them.
const UPLOADS_MAX: u16 = 100;

/// Uploads aborted at the same time: as many as deletions.
const CONCURRENT_ABORTIONS: usize = 16;

impl ObjectStore {
    /// Begins an upload in parts.
    ///
    /// If the answer is lost, a second upload is begun and the first one stays, empty, until
    /// [`Self::list_uploads`] finds it.
    pub async fn start_multipart(&self, key: &str) -> Result<Upload, StoreError> {
        let query = [("uploads", "")];
        let build = |origin: &Origin| Ok(Request::object(origin, Method::POST, key, &query));
        let answer = self.ask(Route::Write, build).await?;
        let id = xml::upload_id(&answer.body)
            .map_err(|kind| StoreError::new(kind, &answer.site.place))?;
        Ok(Upload {
            key: key.to_owned(),
            id,
            initiated: None,
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
        let answer = self.ask(Route::Write, build).await?;
        let etag =
            etag(&answer.headers).map_err(|kind| StoreError::new(kind, &answer.site.place))?;
        Ok(Part {
            number,
            size: body.len(),
            etag,
        })
    }

    /// Makes the parts, in the order of their numbers, the object, and gives its version.
    pub async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<ETag, StoreError> {
        let query = [("uploadId", upload.id.as_str())];
        let body = Payload::from(Bytes::from(xml::complete(parts)));
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::POST, &upload.key, &query);
            Ok(request.payload(body.clone()).slow())
        };
        let (outcome, failures) = self.ask_counting(Route::Write, build).await;
        match outcome {
            Err(error) if failures > 0 && *error.kind() == ErrorKind::NoSuchUpload => {
                self.completed_before(upload, parts).await.ok_or(error)
            }
            outcome => {
                let answer = outcome?;
                xml::new_etag(&answer.body, "CompleteMultipartUploadResult")
                    .map_err(|kind| StoreError::new(kind, &answer.site.place))
            }
        }
    }

    /// Whether the upload is gone because an attempt completed it whose answer was lost: then the
    /// object has the parts' size, and a version that ends in their number, as stores write it.
    async fn completed_before(&self, upload: &Upload, parts: &[Part]) -> Option<ETag> {
        let meta = self.head(&upload.key).await.ok()?;
        let size: u64 = parts.iter().map(|part| part.size).sum();
        let ours = meta.size == size && meta.etag.as_str().ends_with(&format!("-{}", parts.len()));
        ours.then_some(meta.etag)
    }

    /// Drops an upload and its parts; one that is not there any more is no error.
    pub async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        let query = [("uploadId", upload.id.as_str())];
        let build =
            |origin: &Origin| Ok(Request::object(origin, Method::DELETE, &upload.key, &query));
        match self.ask(Route::Write, build).await {
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
        let answer = self.ask(Route::Write, build).await?;
        xml::upload_page(&answer.body, &answer.site.origin.prefix)
            .map_err(|kind| StoreError::new(kind, &answer.site.place))
    }
}

fn is_gone(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::NoSuchUpload | ErrorKind::NotFound)
}
