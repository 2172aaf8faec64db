//! The URL of a request, in the one encoding that is both sent and signed.

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::error::ErrorKind;
use crate::origin::Origin;

/// A URL whose query is sorted, as signatures want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    authority: Authority,
    /// Encoded.
    pub(crate) path: String,
    /// Encoded and sorted; every name has a `=`.
    pub(crate) query: String,
}

impl Url {
    /// The bucket of `origin`, or the object `key` beneath its prefix.
    pub(crate) fn new(origin: &Origin, key: Option<&str>, query: &[(&str, &str)]) -> Self {
        let mut path = format!("{}/", origin.endpoint.base_path);
        encode(&origin.bucket, Slash::Keep, &mut path);
        if let Some(key) = key {
            path.push('/');
            encode(&origin.prefix, Slash::Keep, &mut path);
            encode(key, Slash::Keep, &mut path);
        }
        let pairs = query.iter().map(|(name, value)| {
            let mut pair = String::new();
            encode(name, Slash::Encode, &mut pair);
            pair.push('=');
            encode(value, Slash::Encode, &mut pair);
            pair
        });
        Self {
            scheme: origin.endpoint.scheme.clone(),
            authority: origin.endpoint.authority.clone(),
            path,
            query: sorted(pairs.collect()),
        }
    }

    /// An absolute URL that somebody else encoded.
    pub(crate) fn absolute(uri: &Uri) -> Option<Self> {
        let (scheme, authority) = (uri.scheme()?.clone(), uri.authority()?.clone());
        Some(Self {
            scheme,
            authority,
            path: uri.path().to_owned(),
            query: resorted(uri.query()),
        })
    }

    /// Where a `Location` header leads from here.
    ///
    /// Never from https to http: the data would travel in the open because a server said so.
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, ErrorKind> {
        let absolute = match location.strip_prefix("//") {
            Some(_) => format!("{}:{location}", self.scheme),
            None => location.to_owned(),
        };
        let uri: Uri = absolute
            .parse()
            .map_err(|_| ErrorKind::RedirectRefused("to what is no URL"))?;
        let Some(url) = Self::absolute(&uri) else {
            if !location.starts_with('/') {
                return Err(ErrorKind::RedirectRefused("to what is no URL"));
            }
            let (path, query) = (uri.path().to_owned(), resorted(uri.query()));
            return Ok(Self {
                path,
                query,
                ..self.clone()
            });
        };
        if url.scheme != Scheme::HTTP && url.scheme != Scheme::HTTPS {
            return Err(ErrorKind::RedirectRefused(
                "to what is neither http nor https",
            ));
        }
        if self.scheme == Scheme::HTTPS && url.scheme == Scheme::HTTP {
            return Err(ErrorKind::RedirectRefused("from https to http"));
        }
        if url.authority.as_str().contains('@') {
            return Err(ErrorKind::RedirectRefused("to a URL with keys in it"));
        }
        Ok(url)
    }

    /// Whether the URL carries its own signature, as redirects to a storage node may.
    pub(crate) fn is_presigned(&self) -> bool {
        self.query
            .split('&')
            .any(|pair| pair.starts_with("X-Amz-Signature="))
    }

    /// The `Host` header: the port only where it is not the scheme's own, as every client does it.
    pub(crate) fn host_header(&self) -> String {
        let own = if self.scheme == Scheme::HTTPS {
            443
        } else {
            80
        };
        match self.authority.port_u16() {
            Some(port) if port != own => format!("{}:{port}", self.authority.host()),
            _ => self.authority.host().to_owned(),
        }
    }

    pub(crate) fn uri(&self) -> Result<Uri, ErrorKind> {
        let malformed = |_| ErrorKind::Config("the request has no valid URL".to_owned());
        let path = if self.query.is_empty() {
            PathAndQuery::try_from(self.path.as_str())
        } else {
            PathAndQuery::try_from(format!("{}?{}", self.path, self.query))
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.map_err(malformed)?);
        Uri::from_parts(parts)
            .map_err(|_| ErrorKind::Config("the request has no valid URL".to_owned()))
    }
}

fn sorted(mut pairs: Vec<String>) -> String {
    pairs.sort_unstable();
    pairs.join("&")
}

/// A foreign query in our form.
fn resorted(query: Option<&str>) -> String {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    let with_value = pairs.map(|pair| {
        if pair.contains('=') {
            pair.to_owned()
        } else {
            format!("{pair}=")
        }
    });
    sorted(with_value.collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slash {
    Keep,
    Encode,
}

/// Percent-encodes as Signature Version 4 prescribes: everything but `A-Za-z0-9-._~`.
pub(crate) fn encode(text: &str, slash: Slash, into: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(byte));
            }
            b'/' if slash == Slash::Keep => into.push('/'),
            _ => {
                into.push('%');
                into.push(HEX[usize::from(byte >> 4)]);
                into.push(HEX[usize::from(byte & 0xf)]);
            }
        }
    }
}

/// Undoes the encoding of listings (`encoding-type=url`): `%XX`, and `+` for a space.
///
/// None if that gives no UTF-8 or an escape is broken.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin() -> Origin {
        Origin {
            endpoint: "http://s3:8333".parse().unwrap(),
            bucket: "b".into(),
            prefix: "p q/".into(),
            region: String::new(),
            keys: None,
            ca_pem: None,
            shards: None,
        }
    }

    #[test]
    fn keys_stand_beneath_bucket_and_prefix() {
        let url = Url::new(&origin(), Some("a+b//ü%"), &[]);
        assert_eq!(
            url.uri().unwrap(),
            "http://s3:8333/b/p%20q/a%2Bb//%C3%BC%25"
        );
        let url = Url::new(&origin(), None, &[("prefix", "a/b"), ("list-type", "2")]);
        assert_eq!(
            url.uri().unwrap(),
            "http://s3:8333/b?list-type=2&prefix=a%2Fb"
        );
    }

    #[test]
    fn redirects_stay_safe() {
        let http = Url::new(&origin(), Some("k"), &[]);
        let there = http.redirected("https://other:9/x?b&a=1").unwrap();
        assert_eq!(there.uri().unwrap(), "https://other:9/x?a=1&b=");
        assert_eq!(
            http.redirected("/y").unwrap().uri().unwrap(),
            "http://s3:8333/y"
        );
        assert_eq!(
            http.redirected("//other/y").unwrap().uri().unwrap(),
            "http://other/y"
        );
        for location in [
            "http://other/",
            "ftp://other/",
            "https://a:b@other/",
            "http://[",
            "",
            "elsewhere",
        ] {
            assert!(there.redirected(location).is_err(), "{location:?}");
        }
    }

    #[test]
    fn default_ports_are_not_in_the_host_header() {
        for (url, host) in [
            ("http://h:80/", "h"),
            ("https://h:443/", "h"),
            ("http://h:443/", "h:443"),
            ("https://[::1]:9000/", "[::1]:9000"),
        ] {
            let url = Url::absolute(&url.parse().unwrap()).unwrap();
            assert_eq!(url.host_header(), host);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text: String) {
            let mut encoded = String::new();
            encode(&text, Slash::Encode, &mut encoded);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded), Some(text));
        }

        #[test]
        fn decoding_never_panics(text: String) {
            let _ = decode(&text);
        }
    }
}
