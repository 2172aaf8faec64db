use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    SourceError, SourceErrorKind,
    keys::{ACCESS_KEY_ID, SECRET_ACCESS_KEY},
};

/// A bucket of any S3, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ObjectStoreSource {
    /// http or https URL.
    pub endpoint: String,
    /// Bucket and prefix.
    #[serde(flatten)]
    pub location: BucketPath,
    /// `""`: the store's default.
    pub region: String,
    /// Who pays and who may.
    pub keys: KeySource,
    /// Secret of the same namespace whose `ca.crt` is the private CA of an https endpoint.
    pub ca_secret: Option<String>,
    /// Refuse every write.
    pub readonly: bool,
    /// Make the bucket if it does not exist.
    pub provision: bool,
    /// Empty and delete a bucket that `provision` made, with the Dataset.
    pub remove_on_delete: bool,
}

impl ObjectStoreSource {
    /// The same with a reference to a Secret where its keys stand in it.
    #[must_use]
    pub fn referring_to(self, secret: impl FnOnce() -> String) -> Self {
        let keys = match self.keys {
            KeySource::Inline { .. } => KeySource::Secret { name: secret() },
            keys => keys,
        };
        Self { keys, ..self }
    }
}

/// Bucket and prefix, however they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BucketPath {
    /// The bucket alone.
    pub bucket: String,
    /// `""`, or a prefix that ends in `/` and does not start with one.
    pub prefix: String,
}

impl BucketPath {
    /// Reads `bucket` or `bucket/prefix`, and `folder`, which is the prefix said another way.
    pub(super) fn parse(bucket: &str, folder: Option<&str>) -> Result<Self, SourceError> {
        let (name, inline) = bucket.split_once('/').unwrap_or((bucket, ""));
        check_bucket(name)?;
        let inline = normal_prefix(inline);
        let folder = folder
            .map(normal_prefix)
            .filter(|folder| !folder.is_empty());
        let prefix = match folder {
            Some(folder) if !inline.is_empty() && folder != inline => {
                return Err(SourceError::new(
                    "spec.local.folder",
                    SourceErrorKind::Disagrees {
                        found: folder,
                        other: "spec.local.bucket",
                        says: inline,
                    },
                ));
            }
            Some(folder) => folder,
            None => inline,
        };
        Ok(Self {
            bucket: name.to_owned(),
            prefix,
        })
    }
}

fn normal_prefix(text: &str) -> String {
    let inner = text.trim_matches('/');
    if inner.is_empty() {
        String::new()
    } else {
        format!("{inner}/")
    }
}

/// S3's rules for bucket names, without those that only some stores keep:
/// 3 to 63 characters, letters, digits, dots, hyphens and underscores.
fn check_bucket(name: &str) -> Result<(), SourceError> {
    let fits = (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && !name.starts_with(['-', '.'])
        && !name.contains("..");
    if fits {
        return Ok(());
    }
    Err(SourceError::new(
        "spec.local.bucket",
        SourceErrorKind::Invalid {
            found: name.to_owned(),
            expected: "BUCKET or BUCKET/PREFIX, where BUCKET has 3 to 63 letters, digits, dots, hyphens or underscores",
        },
    ))
}

/// Where a bucket's keys come from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "from", rename_all = "camelCase")]
pub enum KeySource {
    /// No keys: requests are not signed.
    Anonymous,
    /// A Secret of the Dataset's namespace with `accessKeyID`, `secretAccessKey` and perhaps `sessionToken`.
    Secret {
        /// Its name.
        name: String,
    },
    /// Written into the Dataset. Never in a plan: replaced by a reference before.
    #[serde(skip)]
    Inline {
        /// `accessKeyID`.
        access_key_id: String,
        /// `secretAccessKey`.
        secret_access_key: String,
    },
}

impl KeySource {
    /// Keys that are written into the Dataset, by the names that they have in a Secret.
    #[must_use]
    pub fn inline(&self) -> Option<[(&'static str, &str); 2]> {
        match self {
            Self::Inline {
                access_key_id,
                secret_access_key,
            } => Some([
                (ACCESS_KEY_ID, access_key_id),
                (SECRET_ACCESS_KEY, secret_access_key),
            ]),
            Self::Anonymous | Self::Secret { .. } => None,
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Secret { name } => write!(f, "Secret({name})"),
            Self::Inline { .. } => f.write_str("Inline(…)"),
        }
    }
}
