//! Copies inside the store: no byte passes here.

use std::ops::Range;

use futures::stream::{self, StreamExt, TryStreamExt};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES,
    HeaderName,
};
use http::{HeaderMap, Method};

use super::{ObjectStore, Route};
use crate::error::{ErrorKind, StoreError};
use crate::object::{Copied, ObjectMeta, Part, PutCondition, Upload};
use crate::origin::Origin;
use crate::request::{Request, TOKEN};
use crate::url::{Slash, encode};
use crate::xml;

/// The largest copy in one request, and the size of the parts beyond. Stores take 5 GiB; but one
/// answers only when all is copied, and at 10 MB/s that exceeds every timeout.
const PIECE_BYTES: u64 = 512 * 1024 * 1024;

/// Parts of an upload, at most: S3's limit.
const PARTS_MAX: u64 = 10_000;

/// Parts copied at the same time: enough to keep several disks of a store busy.
const CONCURRENT_PARTS: usize = 4;

const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
const COPY_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
const COPY_SOURCE_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");
const METADATA_DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-metadata-directive");

/// What a store tells of an object beside its bytes, and is told of a new one.
const METADATA: [HeaderName; 6] = [
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    EXPIRES,
];

/// Begins the names of what users tell of an object.
const USER_METADATA: &str = "x-amz-meta-";

impl ObjectStore {
    /// Copies exactly the version `from` to the key `to` inside the store, with its metadata.
    ///
    /// [`ErrorKind::PreconditionFailed`] if `from` was replaced; `to` is replaced at the end.
    pub async fn copy(&self, from: &ObjectMeta, to: &str) -> Result<Copied, StoreError> {
        if from.size <= PIECE_BYTES {
            return self.copy_whole(from, to).await;
        }
        let (_, headers) = self.head_and_headers(&from.key, Some(&from.etag)).await?;
        let upload = self.start_multipart_with(to, &metadata(&headers)).await?;
        let copied = self.copy_parts(from, &upload).await;
        if copied.is_err() {
            // Parts that nobody completes cost their owner money.
            if let Err(error) = self.abort(&upload).await {
                tracing::warn!(%error, "an upload stays behind");
            }
        }
        copied
    }

    async fn copy_whole(&self, from: &ObjectMeta, to: &str) -> Result<Copied, StoreError> {
        let build = |origin: &Origin| {
            let request = Request::object(origin, Method::PUT, to, &[]);
            Ok(source_of(request, origin, from)?
                .header(METADATA_DIRECTIVE, "COPY")?
                .slow())
        };
        let answer = self.ask(Route::Source, build).await?;
        xml::copied(&answer.body).map_err(|kind| StoreError::new(kind, &answer.client.place))
    }

    async fn copy_parts(&self, from: &ObjectMeta, upload: &Upload) -> Result<Copied, StoreError> {
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
        let etag = self.complete(upload, &parts, PutCondition::None).await?;
        Ok(Copied {
            etag,
            last_modified: None,
        })
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
        let answer = self.ask(Route::Source, build).await?;
        let failed = |kind| StoreError::new(kind, &answer.client.place);
        let etag = xml::new_etag(&answer.body, "CopyPartResult").map_err(failed)?;
        Ok(Part {
            number,
            size: range.end - range.start,
            etag,
        })
    }
}

/// The metadata of a copy: that of the object, but for the token of the write that made it.
fn metadata(headers: &HeaderMap) -> HeaderMap {
    let is_metadata = |name: &HeaderName| {
        METADATA.contains(name) || (name.as_str().starts_with(USER_METADATA) && *name != TOKEN)
    };
    headers
        .iter()
        .filter(|(name, _)| is_metadata(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_metadata_of_the_object_and_nothing_of_its_writing() {
        let header = |name: &str| -> (HeaderName, http::HeaderValue) {
            (name.parse().unwrap(), "x".parse().unwrap())
        };
        let mut expected: Vec<_> = METADATA.map(|name| name.to_string()).to_vec();
        expected.extend(["x-amz-meta-a".to_owned(), "x-amz-meta-b-c".to_owned()]);
        let of_writing = [
            "etag",
            "content-length",
            "last-modified",
            "x-amz-meta-dlf-upload",
            "x-amz-version-id",
            "x-amz-server-side-encryption",
        ];
        let all = expected.iter().map(String::as_str).chain(of_writing);
        let kept = metadata(&all.map(header).collect());
        let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}
