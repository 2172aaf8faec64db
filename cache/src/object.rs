//! What callers and the store say to each other: objects, pages of listings, uploads.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;

/// The version of an object, as its store names it: opaque, compared for equality only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// From a header or a listing: some servers quote there, some do not.
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        let text = text.trim();
        let unquoted = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Self(unquoted.unwrap_or(text).to_owned())
    }

    /// As a header wants it.
    #[must_use]
    pub fn to_wire(&self) -> String {
        if self.0.starts_with("W/") {
            self.0.clone()
        } else {
            format!("\"{}\"", self.0)
        }
    }

    /// Without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One object, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Relative to the origin's prefix.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// The version that `size` belongs to.
    pub etag: ETag,
    /// As the store tells it; whole seconds in answers to `head`.
    pub last_modified: Option<SystemTime>,
}

/// What a copy has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The copy's version; not always that of what was copied.
    pub etag: ETag,
    /// Of the copy, if the store told: of large copies it does not.
    pub last_modified: Option<SystemTime>,
}

/// What to list, and where to go on.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// Only keys that begin so.
    pub prefix: String,
    /// Group what follows the next `/` after the prefix into [`ListPage::common_prefixes`].
    pub delimiter: bool,
    /// Only keys after this one, in the store's order (bytes of UTF-8).
    pub start_after: Option<String>,
    /// [`ListPage::next`] of the page before; the rest of the request must be the same.
    pub continuation: Option<String>,
    /// At most this many keys and prefixes on the page; stores send at most 1,000.
    pub max_keys: Option<u16>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// In the store's order.
    pub objects: Vec<ObjectMeta>,
    /// Relative to the origin's prefix, ending in `/`; in the store's order.
    pub common_prefixes: Vec<String>,
    /// [`ListRequest::continuation`] of the next page; none on the last.
    pub next: Option<String>,
}

/// What to list of the versions that a bucket keeps, and where to go on.
#[derive(Clone, Debug, Default)]
pub struct VersionRequest {
    /// Only keys that begin so.
    pub prefix: String,
    /// [`VersionPage::next`] of the page before; the rest of the request must be the same.
    pub after: Option<VersionMarker>,
    /// At most this many versions on the page; stores send at most 1,000.
    pub max_keys: Option<u16>,
}

/// One version of an object, or the mark of a deletion, which is deleted like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Relative to the origin's prefix.
    pub key: String,
    /// The store's name for it; `null` for what was written while the bucket kept no versions.
    pub id: String,
}

/// Where a page of versions ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionMarker {
    /// As the store wrote it, with the origin's prefix.
    pub(crate) key: String,
    /// None where the page ended with all versions of the key.
    pub(crate) id: Option<String>,
}

/// One page of versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Of each key: what is there, what was replaced and what marks a deletion.
    pub versions: Vec<ObjectVersion>,
    /// [`VersionRequest::after`] of the next page; none on the last.
    pub next: Option<VersionMarker>,
}

/// When an object may be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PutCondition {
    /// Always: what was there is replaced.
    #[default]
    None,
    /// Only if there is no object of that key.
    IfNoneMatch,
    /// Only if the object is still this version.
    IfMatch(ETag),
}

/// Bytes to send, in pieces that are not copied together.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    pub(crate) pieces: Vec<Bytes>,
}

impl Payload {
    /// The sum of the pieces, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self {
            pieces: vec![bytes],
        }
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self { pieces }
    }
}

/// A multipart upload that has begun: nothing of it is visible until it is completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Relative to the origin's prefix.
    pub key: String,
    /// The store's name for it.
    pub id: String,
    /// When it began, if the store told (listings do).
    pub initiated: Option<SystemTime>,
    /// What its object carries to be known by; none of an upload that a listing told of.
    pub(crate) token: Option<WriteToken>,
}

/// A random name that one write gives its object (metadata `dlf-upload`), so that the object is
/// known again where the answer to the write was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteToken(String);

impl WriteToken {
    /// 128 bits: no two writes of one key ever share a token.
    pub(crate) fn random() -> Self {
        Self(format!("{:032x}", fastrand::u128(..)))
    }

    /// As a header holds it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One part of an upload, as the store acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1 to 10,000; the order of the object's bytes.
    pub number: u16,
    /// In bytes.
    pub size: u64,
    /// The part's, not the object's.
    pub etag: ETag,
}

/// One page of unfinished uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadPage {
    /// In the store's order.
    pub uploads: Vec<Upload>,
    /// Whether there are more; abort these and ask again.
    pub truncated: bool,
}

/// What `create_bucket` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketCreation {
    /// It was made. Some stores say so for one's own bucket that was there before, too.
    Created,
    /// It was there, and is the keys' own.
    AlreadyOwned,
}

/// One key, or version of it, that could not be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteFailure {
    /// Relative to the origin's prefix.
    pub key: String,
    /// The class of the reason, as [`crate::StoreError::class`] gives it.
    pub class: &'static str,
}
