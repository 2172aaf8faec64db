//! Where a dataset's objects are: endpoints, keys and what can be wrong with them.

mod endpoint;
mod error;
mod location;
mod shards;

use std::fmt;

pub use endpoint::Endpoint;
pub use error::ConfigError;
pub use location::Location;
pub use shards::Shards;

/// One place that answers for a dataset's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The server.
    pub endpoint: Endpoint,
    /// The bucket, addressed by path (`https://host/bucket/key`).
    pub bucket: String,
    /// What every key begins with there: empty, or ending in `/`. Callers never see it.
    pub prefix: String,
    /// The region that requests are signed for; empty means [`Origin::DEFAULT_REGION`].
    pub region: String,
    /// The keys; none means requests are sent unsigned.
    pub keys: Option<Keys>,
    /// Certificates (PEM) trusted beside the public ones.
    pub ca_pem: Option<String>,
    /// Of a cache: its servers, each of which has a part of what it keeps. None: `endpoint` has all.
    pub shards: Option<Shards>,
}

impl Origin {
    /// What servers without regions expect, and AWS for its oldest one.
    pub const DEFAULT_REGION: &str = "us-east-1";

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        location::check(&self.bucket, &self.prefix)?;
        if !is_region(&self.region) && !self.region.is_empty() {
            return Err(ConfigError::Region(self.region.clone()));
        }
        if let Some(shards) = &self.shards {
            shards.validate()?;
        }
        match &self.keys {
            Some(keys) => keys.validate(),
            None => Ok(()),
        }
    }
}

/// Whether `text` may go into a signature's scope as a region: a source may name one.
pub(crate) fn is_region(text: &str) -> bool {
    /// Longer than every region there is; the name goes into headers.
    const LENGTH_MAX: usize = 64;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= LENGTH_MAX && text.bytes().all(allowed)
}

/// An access key pair, and the token that comes with a temporary one.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Names the key.
    pub access_key_id: String,
    /// Signs; printed nowhere.
    pub secret_access_key: String,
    /// Goes with temporary keys; printed nowhere.
    pub session_token: Option<String>,
}

impl Keys {
    /// The identifier and the token travel in headers; the secret is only used, and one with a line
    /// break behind it gives signatures that nobody accepts.
    fn validate(&self) -> Result<(), ConfigError> {
        let token = self.session_token.as_deref().unwrap_or_default();
        let framed = |text: &str| text.trim() != text;
        if framed(&self.access_key_id) || framed(&self.secret_access_key) || framed(token) {
            return Err(ConfigError::KeysInWhiteSpace);
        }
        let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if self.access_key_id.is_empty() || !printable(&self.access_key_id) || !printable(token) {
            return Err(ConfigError::Keys);
        }
        Ok(())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_behind_a_secret_is_named() {
        let keys = |id: &str, secret: &str| Keys {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
            session_token: None,
        };
        assert_eq!(keys("AK", "s e/c+r=et").validate(), Ok(()));
        for framed in [
            keys("AK\n", "secret"),
            keys("AK", "secret\n"),
            keys(" AK", "s"),
        ] {
            assert_eq!(framed.validate(), Err(ConfigError::KeysInWhiteSpace));
        }
        assert_eq!(keys("A\nK", "secret").validate(), Err(ConfigError::Keys));
    }

    #[test]
    fn no_secret_is_printed() {
        let keys = Keys {
            access_key_id: "AK".into(),
            secret_access_key: "hush".into(),
            session_token: Some("hush".into()),
        };
        assert!(!format!("{keys:?}").contains("hush"));
        let error = "http://user:hush@host".parse::<Endpoint>().unwrap_err();
        assert!(!error.to_string().contains("hush"));
    }
}
