//! A Dataset's source, read from its maps of strings into types that later steps can trust.
//!
//! The CRD's CEL rules refuse most mistakes already; what is found here either slipped in or
//! cannot be said in CEL. Every error names the key, what was found and what to do.

mod error;
pub mod keys;
mod object_store;
mod parse;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use error::{SourceError, SourceErrorKind};
pub use object_store::{BucketPath, KeySource, ObjectStoreSource};

use crate::api::DatasetSpec;

/// Type words of `spec.local.type`, of `spec.remote.type` and of `spec.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SourceType {
    /// Any S3.
    #[serde(rename = "COS")]
    Cos,
    /// An NFS export.
    #[serde(rename = "NFS")]
    Nfs,
    /// A directory of the node.
    #[serde(rename = "HOST")]
    Host,
}

impl SourceType {
    /// The type's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cos => "COS",
            Self::Nfs => "NFS",
            Self::Host => "HOST",
        }
    }
}

/// A source that is complete and whose parts fit together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum Source {
    /// Any S3.
    #[serde(rename = "COS")]
    ObjectStore(ObjectStoreSource),
    /// An NFS export.
    #[serde(rename = "NFS")]
    Nfs(NfsSource),
    /// A directory of the node.
    #[serde(rename = "HOST")]
    HostPath(HostPathSource),
}

/// An NFS export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NfsSource {
    /// Host name or address.
    pub server: String,
    /// Absolute path of the export, or of a directory in it.
    pub share: String,
    /// Make the directory of `share` if it does not exist.
    pub create: bool,
    /// Refuse every write.
    pub readonly: bool,
    /// Comma-separated, as mount(8) takes them; may be empty.
    pub mount_options: String,
}

/// A directory of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostPathSource {
    /// Absolute and normal: no `.`, no `..`, no empty part.
    pub path: String,
    /// Make the directory if it does not exist.
    pub create: bool,
    /// Refuse every write.
    pub readonly: bool,
}

impl Source {
    /// Reads the source of a spec, given the labels and the namespace of its Dataset.
    ///
    /// # Errors
    /// The first thing wrong with it, in the order in which a person would fix them.
    pub fn parse(
        spec: &DatasetSpec,
        labels: &BTreeMap<String, String>,
        namespace: &str,
    ) -> Result<Self, SourceError> {
        parse::source(spec, labels, namespace)
    }

    /// Its type's word.
    #[must_use]
    pub const fn kind(&self) -> SourceType {
        match self {
            Self::ObjectStore(_) => SourceType::Cos,
            Self::Nfs(_) => SourceType::Nfs,
            Self::HostPath(_) => SourceType::Host,
        }
    }

    /// Whether the Dataset forbids writing.
    #[must_use]
    pub const fn readonly(&self) -> bool {
        match self {
            Self::ObjectStore(source) => source.readonly,
            Self::Nfs(source) => source.readonly,
            Self::HostPath(source) => source.readonly,
        }
    }

    /// The Secret that a Dataset names for its keys.
    #[must_use]
    pub fn key_secret(&self) -> Option<&str> {
        match self {
            Self::ObjectStore(source) => match &source.keys {
                KeySource::Secret { name } => Some(name),
                KeySource::Anonymous | KeySource::Inline { .. } => None,
            },
            Self::Nfs(_) | Self::HostPath(_) => None,
        }
    }

    /// Keys that are written into the Dataset, by the names that they have in a Secret.
    #[must_use]
    pub fn inline_keys(&self) -> Option<[(&'static str, &str); 2]> {
        match self {
            Self::ObjectStore(source) => source.keys.inline(),
            Self::Nfs(_) | Self::HostPath(_) => None,
        }
    }

    /// Where it is, for a person: no keys in it.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::ObjectStore(source) => {
                let endpoint = source.endpoint.trim_end_matches('/');
                let place = format!(
                    "{endpoint}/{}/{}",
                    source.location.bucket, source.location.prefix
                );
                place.trim_end_matches('/').to_owned()
            }
            Self::Nfs(source) => format!("{}:{}", source.server, source.share),
            Self::HostPath(source) => source.path.clone(),
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
