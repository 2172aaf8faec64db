//! A place in a server: a bucket and what keys begin with there.

use super::ConfigError;

/// A bucket and a prefix in it. A store can look at several, with the same servers and keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    bucket: String,
    prefix: String,
}

impl Location {
    /// `prefix`: empty, or ending in `/`.
    ///
    /// # Errors
    /// [`ConfigError::Bucket`] for a name that would be another path of the server,
    /// [`ConfigError::Prefix`] for a prefix that would let others be seen.
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>) -> Result<Self, ConfigError> {
        let (bucket, prefix) = (bucket.into(), prefix.into());
        check(&bucket, &prefix)?;
        Ok(Self { bucket, prefix })
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What every key begins with there.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

pub(super) fn check(bucket: &str, prefix: &str) -> Result<(), ConfigError> {
    if matches!(bucket, "" | "." | "..") || bucket.contains('/') {
        return Err(ConfigError::Bucket(bucket.to_owned()));
    }
    if !prefix.is_empty() && !prefix.ends_with('/') {
        return Err(ConfigError::Prefix(prefix.to_owned()));
    }
    Ok(())
}
