//! The XML that S3 speaks, as far as we do.

mod requests;
mod versions;

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ErrorKind;
use crate::object::{Copied, ETag, ListPage, ObjectMeta, Upload, UploadPage};
use crate::url::decode;

pub(crate) use requests::{can_hold, complete, delete, location, tagging};
pub(crate) use versions::version_page;

/// Reads the document `name`; serde does not look at the outermost element's name.
fn parse<T: DeserializeOwned>(body: &[u8], name: &str) -> Result<T, ErrorKind> {
    let foreign = ErrorKind::Protocol("its answer is not the XML of S3");
    match std::str::from_utf8(body) {
        // Spaces before it kept the connection while the server worked.
        Ok(text) if root(body) == name.as_bytes() => {
            quick_xml::de::from_str(text.trim_start()).map_err(|_| foreign)
        }
        _ => Err(foreign),
    }
}

/// The parts of an error that have an effect. Empty if the body is none.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ErrorBody {
    pub(crate) code: String,
    pub(crate) region: Option<String>,
}

/// Reads an error's body; anything else gives the empty error.
pub(crate) fn error(body: &[u8]) -> ErrorBody {
    parse(body, "Error").unwrap_or_default()
}

/// Whether the document is an error, told without reading it: answers can be large.
pub(crate) fn is_error(body: &[u8]) -> bool {
    root(body) == b"Error"
}

/// The name of the document's element; empty if there is none.
fn root(body: &[u8]) -> &[u8] {
    let mut rest = body.trim_ascii_start();
    if rest.starts_with(b"<?") {
        let end = rest
            .iter()
            .position(|byte| *byte == b'>')
            .map_or(rest.len(), |at| at + 1);
        rest = rest[end..].trim_ascii_start();
    }
    let Some(name) = rest.strip_prefix(b"<") else {
        return b"";
    };
    let ends = |byte: &u8| matches!(byte, b'>' | b'/') || byte.is_ascii_whitespace();
    &name[..name.iter().position(ends).unwrap_or(name.len())]
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListBucketResult {
    encoding_type: Option<String>,
    is_truncated: bool,
    next_continuation_token: Option<String>,
    contents: Vec<Contents>,
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    #[serde(rename = "ETag")]
    etag: String,
    last_modified: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

/// Reads a page of `ListObjectsV2` whose keys all begin with the origin's `prefix`.
pub(crate) fn list_page(body: &[u8], prefix: &str) -> Result<ListPage, ErrorKind> {
    let result: ListBucketResult = parse(body, "ListBucketResult")?;
    let format = KeyFormat::new(result.encoding_type.as_deref(), prefix);
    let object = |contents: Contents| {
        Ok(ObjectMeta {
            key: format.read(&contents.key)?,
            size: contents.size,
            etag: ETag::from_wire(&contents.etag),
            last_modified: contents.last_modified.as_deref().and_then(time),
        })
    };
    if result.is_truncated && result.next_continuation_token.is_none() {
        return Err(ErrorKind::Protocol(
            "its listing goes on without saying where",
        ));
    }
    Ok(ListPage {
        objects: result
            .contents
            .into_iter()
            .map(object)
            .collect::<Result<_, _>>()?,
        common_prefixes: result
            .common_prefixes
            .iter()
            .map(|common| format.read(&common.prefix))
            .collect::<Result<_, _>>()?,
        next: result
            .next_continuation_token
            .filter(|_| result.is_truncated),
    })
}

/// How keys are written in one answer.
struct KeyFormat<'a> {
    encoded: bool,
    prefix: &'a str,
}

impl<'a> KeyFormat<'a> {
    /// As the answer says of its encoding; some servers say it is none with an empty element.
    fn new(encoding: Option<&str>, prefix: &'a str) -> Self {
        let encoded = encoding.is_some_and(|name| !name.trim().is_empty());
        Self { encoded, prefix }
    }

    /// The full key; none if its encoding is broken.
    fn whole(&self, text: &str) -> Option<String> {
        if self.encoded {
            decode(text)
        } else {
            Some(text.to_owned())
        }
    }

    fn read(&self, text: &str) -> Result<String, ErrorKind> {
        self.whole(text)
            .as_deref()
            .and_then(|key| key.strip_prefix(self.prefix))
            .map(str::to_owned)
            .ok_or(ErrorKind::Protocol(
                "its listing holds a key that was not asked for",
            ))
    }
}

/// `2026-11-24T02:31:00.000Z`. A time that cannot be read is none: nothing depends on it.
fn time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListMultipartUploadsResult {
    encoding_type: Option<String>,
    is_truncated: bool,
    upload: Vec<UploadEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UploadEntry {
    key: String,
    upload_id: String,
    initiated: Option<String>,
}

/// Reads a page of `ListMultipartUploads` whose keys all begin with the origin's `prefix`.
pub(crate) fn upload_page(body: &[u8], prefix: &str) -> Result<UploadPage, ErrorKind> {
    let result: ListMultipartUploadsResult = parse(body, "ListMultipartUploadsResult")?;
    let format = KeyFormat::new(result.encoding_type.as_deref(), prefix);
    let upload = |entry: UploadEntry| {
        Ok(Upload {
            key: format.read(&entry.key)?,
            id: entry.upload_id,
            initiated: entry.initiated.as_deref().and_then(time),
            token: None,
        })
    };
    Ok(UploadPage {
        uploads: result
            .upload
            .into_iter()
            .map(upload)
            .collect::<Result<_, _>>()?,
        truncated: result.is_truncated,
    })
}

/// Reads the identifier of a new upload.
pub(crate) fn upload_id(body: &[u8]) -> Result<String, ErrorKind> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct InitiateMultipartUploadResult {
        upload_id: String,
    }
    let result: InitiateMultipartUploadResult = parse(body, "InitiateMultipartUploadResult")?;
    Ok(result.upload_id)
}

/// Reads the answer to a copy.
pub(crate) fn copied(body: &[u8]) -> Result<Copied, ErrorKind> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct CopyObjectResult {
        #[serde(rename = "ETag")]
        etag: String,
        last_modified: Option<String>,
    }
    let result: CopyObjectResult = parse(body, "CopyObjectResult")?;
    Ok(Copied {
        etag: ETag::from_wire(&result.etag),
        last_modified: result.last_modified.as_deref().and_then(time),
    })
}

/// Reads the new version from the answer `name`, to a copied part or a completed upload.
pub(crate) fn new_etag(body: &[u8], name: &str) -> Result<ETag, ErrorKind> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "ETag")]
        etag: String,
    }
    Ok(ETag::from_wire(&parse::<Versioned>(body, name)?.etag))
}

/// Reads which keys of a `DeleteObjects` could not be deleted: full keys and codes.
pub(crate) fn delete_failures(body: &[u8]) -> Result<Vec<(String, String)>, ErrorKind> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct DeleteResult {
        #[serde(rename = "Error")]
        errors: Vec<DeleteError>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct DeleteError {
        key: String,
        #[serde(default)]
        code: String,
    }
    let result: DeleteResult = parse(body, "DeleteResult")?;
    Ok(result
        .errors
        .into_iter()
        .map(|error| (error.key, error.code))
        .collect())
}

/// Reads a bucket's tags.
pub(crate) fn tags(body: &[u8]) -> Result<Vec<(String, String)>, ErrorKind> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Tagging {
        tag_set: TagSet,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct TagSet {
        tag: Vec<Tag>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tag {
        key: String,
        #[serde(default)]
        value: String,
    }
    let tagging: Tagging = parse(body, "Tagging")?;
    Ok(tagging
        .tag_set
        .tag
        .into_iter()
        .map(|tag| (tag.key, tag.value))
        .collect())
}

#[cfg(test)]
mod tests;
