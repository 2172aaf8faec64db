//! Where a dataset's objects are: endpoints, keys and what can be wrong with them.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

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
}

impl Origin {
    /// What servers without regions expect, and AWS for its oldest one.
    pub const DEFAULT_REGION: &str = "us-east-1";

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if matches!(self.bucket.as_str(), "" | "." | "..") || self.bucket.contains('/') {
            return Err(ConfigError::Bucket(self.bucket.clone()));
        }
        if !self.prefix.is_empty() && !self.prefix.ends_with('/') {
            return Err(ConfigError::Prefix(self.prefix.clone()));
        }
        if !is_region(&self.region) && !self.region.is_empty() {
            return Err(ConfigError::Region(self.region.clone()));
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

/// An S3 server's address: `http://` or `https://`, a host, perhaps a port and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// What precedes the bucket, without a trailing `/`: empty for nearly every server.
    pub(crate) base_path: String,
}

impl Endpoint {
    /// The host without its port; IPv6 addresses in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// Whether requests go over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refused = |why| ConfigError::Endpoint {
            endpoint: redacted(text),
            why,
        };
        let uri: Uri = text
            .trim()
            .parse()
            .map_err(|_| refused("it is not a URL"))?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .ok_or_else(|| refused("it needs http:// or https://"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(refused("it needs http:// or https://"));
        }
        let authority = parts.authority.ok_or_else(|| refused("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("keys do not belong into the URL"));
        }
        if authority.host().is_empty() {
            return Err(refused("it names no host"));
        }
        let behind_host = authority.as_str().strip_prefix(authority.host());
        let port_fits = matches!(behind_host, Some("" | ":"))
            || authority.port_u16().is_some_and(|port| port > 0);
        if !port_fits {
            return Err(refused("its port is not one from 1 to 65535"));
        }
        let path = parts
            .path_and_query
            .ok_or_else(|| refused("it is not a URL"))?;
        if path.query().is_some() {
            return Err(refused("it has a query"));
        }
        let base_path = path.path().trim_end_matches('/').to_owned();
        Ok(Self {
            scheme,
            authority,
            base_path,
        })
    }
}

/// Everything of `text` that may be shown: not what stands before an `@`.
fn redacted(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base_path)
    }
}

/// What is wrong with a configuration, before anything is dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A store without a place to ask.
    #[error("a store needs at least one origin")]
    NoOrigin,
    /// An endpoint that is no S3 server's address.
    #[error("endpoint {endpoint:?} cannot be used: {why}")]
    Endpoint {
        /// What was given, without what looks like keys.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A bucket's name that would be another path: empty, dots, or with a `/`.
    #[error("{0:?} is not a bucket's name")]
    Bucket(String),
    /// A prefix that does not end in `/` would let a dataset see its neighbours.
    #[error("prefix {0:?} does not end in '/'")]
    Prefix(String),
    /// A region with characters that no region has.
    #[error("{0:?} is not a region's name")]
    Region(String),
    /// Keys that cannot travel in a header (the message does not show them).
    #[error("the access key or session token holds characters that keys do not have")]
    Keys,
    /// Keys as they come from a file with a line break at its end.
    #[error(
        "the access key, its secret or the session token begins or ends with white space, such as a line break: write it without"
    )]
    KeysInWhiteSpace,
    /// The private CA is not PEM.
    #[error("the CA certificates cannot be read: {0}")]
    Ca(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_of_servers() {
        for (text, shown) in [
            ("http://s3.example.com", "http://s3.example.com"),
            (
                "https://s3.example.com:9000/",
                "https://s3.example.com:9000",
            ),
            ("http://[::1]:8333", "http://[::1]:8333"),
            ("HTTPS://[fd00::2]/", "https://[fd00::2]"),
            (
                " https://host/storage/v1/s3/ ",
                "https://host/storage/v1/s3",
            ),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "s3.example.com",
            "ftp://host",
            "http://",
            "http://a:b@host",
            "http://h/?x",
            "http://h:0",
            "http://h:65536",
            "http://[::1]:0/",
            "http://[::1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }

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
