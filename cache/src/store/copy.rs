//! Copies inside the store: no byte passes here.

use std::ops::Range;

use futures::stream::{self, StreamExt, TryStreamExt};
use http::Method;
use http::header::HeaderName;

use super::{ObjectStore, Route};
use crate::error::{ErrorKind, StoreError};
use crate::object::{ETag, ObjectMeta, Part, Upload};
use crate::origin::Origin;
use crate::request::Request;
use crate::target::{Slash, encode};
use crate::xml;

/// The largest copy in one request, and the size of the parts beyond. Stores take 5 GiB; but one
/// answers only when all is copied, and at 10 MB/s that exceeds every patience.
const PIECE_BYTES: u64 = 512 * 1024 * 1024;

/// Parts of an upload, at most: S3's limit.
const PARTS_MAX: u64 = 10_000;

/// Parts copied at the same time: enough to keep several disks of a store busy.
const CONCURRENT_PARTS: usize = 4;

const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
const COPY_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
const COPY_SOURCE_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");
const METADATA_DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-metadata-directive");

impl ObjectStore {
    /// Copies exactly the version `from` to the key `to` inside the store.
    ///
    /// [`ErrorKind::PreconditionFailed`] if `from` was replaced; `to` is replaced at the end.
    pub async fn copy(&self, from: &ObjectMeta, to: &str) -> Result<ETag, StoreError> {
        if from.size <= PIECE_BYTES {
            return self.copy_whole(from, to).await;
        }
        let upload = self.start_multipart(to).await?;
        let copied = self.copy_parts(from, &upload).await;
        if copied.is_err() {
            // Parts that nobody completes cost their owner money.
            if let Err(error) = self.abort(&upload).await {
                tracing::warn!(%error, "an upload stays behind");
            }
        }
        copied
    }

    async fn copy_whole(&self, from: &ObjectMeta, to: &str) -> Result<ETag, StoreError> {
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::PUT, to, &[]);
            Ok(source_of(request, origin, from)?
                .header(METADATA_DIRECTIVE, "COPY")?
                .slow())
        };
        let answer = self.ask(Route::Write, build).await?;
        xml::new_etag(&answer.body, "CopyObjectResult")
            .map_err(|kind| StoreError::new(kind, &answer.site.place))
    }

    async fn copy_parts(&self, from: &ObjectMeta, upload: &Upload) -> Result<ETag, StoreError> {
        let piece = PIECE_BYTES.max(from.size.div_ceil(PARTS_MAX));
        let starts = (0..from.size).step_by(usize::try_from(piece).unwrap_or(usize::MAX));
        let parts: Vec<Part> = stream::iter((1..).zip(starts))
            .map(|(number, start)| {
                let range = start..(start + piece).min(from.size);
                self.copy_part(from, range, upload, number)
            })
            .buffered(CONCURRENT_PARTS)
            .try_collect()
            .await?;
        self.complete(upload, &parts).await
    }

    /// Copies a range of exactly the version `from` inside the store, as part `number` (1 to
    /// 10,000) of an upload. Stores take ranges of 5 MiB (but for the last part) to 5 GiB.
    ///
    /// [`ErrorKind::PreconditionFailed`] if `from` was replaced.
    pub async fn copy_part(
        &self,
        from: &ObjectMeta,
        range: Range<u64>,
        upload: &Upload,
        number: u16,
    ) -> Result<Part, StoreError> {
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let text = number.to_string();
        let query = [("partNumber", text.as_str()), ("uploadId", &upload.id)];
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::PUT, &upload.key, &query);
            Ok(source_of(request, origin, from)?
                .header(COPY_SOURCE_RANGE, &bytes)?
                .slow())
        };
        let answer = self.ask(Route::Write, build).await?;
        let failed = |kind| StoreError::new(kind, &answer.site.place);
        let etag = xml::new_etag(&answer.body, "CopyPartResult").map_err(failed)?;
        Ok(Part {
            number,
            size: range.end - range.start,
            etag,
        })
    }
}

/// Names the object and the version to copy.
fn source_of(request: Request, origin: &Origin, from: &ObjectMeta) -> Result<Request, ErrorKind> {
    let mut path = String::from("/");
    for piece in [&origin.bucket, "/", &origin.prefix, &from.key] {
        encode(piece, Slash::Keep, &mut path);
    }
    request
        .header(COPY_SOURCE, &path)?
        .header(COPY_SOURCE_IF_MATCH, &from.etag.to_wire())
}
