//! An S3 server's address.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

use super::ConfigError;

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
}
