//! The answer to `ListObjectVersions`.

use serde::Deserialize;

use super::{KeyFormat, parse};
use crate::error::ErrorKind;
use crate::object::{ObjectVersion, VersionMarker, VersionPage};

/// What stores call the version that an object without versions has.
const NO_VERSION: &str = "null";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListVersionsResult {
    encoding_type: Option<String>,
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_version_id_marker: Option<String>,
    version: Vec<Entry>,
    delete_marker: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    version_id: Option<String>,
}

/// Reads a page of `ListObjectVersions` whose keys all begin with the origin's `prefix`.
pub(crate) fn version_page(body: &[u8], prefix: &str) -> Result<VersionPage, ErrorKind> {
    let result: ListVersionsResult = parse(body, "ListVersionsResult")?;
    let format = KeyFormat::new(result.encoding_type.as_deref(), prefix);
    let entries = result.version.into_iter().chain(result.delete_marker);
    let version = |entry: Entry| {
        let id = entry.version_id.filter(|id| !id.is_empty());
        Ok(ObjectVersion {
            key: format.read(&entry.key)?,
            id: id.unwrap_or_else(|| NO_VERSION.to_owned()),
        })
    };
    let marker = |key: String| {
        Some(VersionMarker {
            key: format.whole(&key)?,
            id: result.next_version_id_marker.filter(|id| !id.is_empty()),
        })
    };
    let next = if result.is_truncated {
        let lost = ErrorKind::Protocol("its listing goes on without saying where");
        Some(result.next_key_marker.and_then(marker).ok_or(lost)?)
    } else {
        None
    };
    Ok(VersionPage {
        versions: entries.map(version).collect::<Result<_, _>>()?,
        next,
    })
}
