//! A request before it has a signature, a URL and a fate.

use http::header::{ACCEPT_ENCODING, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, Method};

use crate::error::ErrorKind;
use crate::object::{Payload, PutCondition, WriteToken};
use crate::origin::Origin;
use crate::url::Url;

/// The longest answer that is read whole: all tags of a bucket, or a full page of ordinary keys from
/// a server that overlooks how many were asked for.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// What each key that was asked for may add to it: its 1,024 bytes, each of them escaped, and what
/// stands around them.
const KEY_BYTES_MAX: usize = 8 * 1024;

/// Keys of a page where no number was asked for: S3's limit.
const PAGE_KEYS: usize = 1_000;

/// The metadata that a write's token is kept in.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-amz-meta-dlf-upload");

/// One S3 request to one origin.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// Whether it is about the bucket and not about an object: tells what a 404 means.
    pub(crate) of_bucket: bool,
    /// Whether it is about an object without a name, which to the server would be the bucket.
    pub(crate) nameless: bool,
    /// Whether the server works before it answers, so that silence is no sign of death.
    pub(crate) slow: bool,
    /// The longest answer that is read whole, in bytes.
    pub(crate) answer_max: usize,
}

impl Request {
    /// About the object `key` beneath the origin's prefix.
    pub(crate) fn object(
        origin: &Origin,
        method: Method,
        key: &str,
        query: &[(&str, &str)],
    ) -> Self {
        let reads = method == Method::GET || method == Method::HEAD;
        let mut request = Self {
            nameless: origin.prefix.is_empty() && key.is_empty(),
            ..Self::new(method, Url::new(origin, Some(key), query), false)
        };
        if reads {
            let encoding = HeaderValue::from_static(accepted_encoding(origin));
            request.headers.insert(ACCEPT_ENCODING, encoding);
        }
        request
    }

    /// About the bucket.
    pub(crate) fn bucket(origin: &Origin, method: Method, query: &[(&str, &str)]) -> Self {
        Self::new(method, Url::new(origin, None, query), true)
    }

    /// The request for a byte of an object whose answer tells why this `HEAD` was refused.
    pub(crate) fn asking_why(&self) -> Option<Self> {
        if self.method != Method::HEAD || self.of_bucket {
            return None;
        }
        let mut why = Self::new(Method::GET, self.url.clone(), false);
        why.headers = self.headers.clone();
        let first = HeaderValue::from_static("bytes=0-0");
        why.headers.insert(RANGE, first);
        Some(why)
    }

    fn new(method: Method, url: Url, of_bucket: bool) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::default(),
            of_bucket,
            nameless: false,
            slow: false,
            answer_max: ANSWER_BYTES_MAX,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, ErrorKind> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| ErrorKind::Config(format!("the value of {name} cannot be a header")))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Writes only under `condition`.
    pub(crate) fn condition(self, condition: &PutCondition) -> Result<Self, ErrorKind> {
        match condition {
            PutCondition::None => Ok(self),
            PutCondition::IfNoneMatch => self.header(IF_NONE_MATCH, "*"),
            PutCondition::IfMatch(version) => self.header(IF_MATCH, &version.to_wire()),
        }
    }

    /// Has the object that this request makes carry `token`.
    pub(crate) fn token(self, token: &WriteToken) -> Result<Self, ErrorKind> {
        self.header(TOKEN, token.as_str())
    }

    pub(crate) fn headers(mut self, headers: &HeaderMap) -> Self {
        self.headers.extend(headers.clone());
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    pub(crate) fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    /// Expects a page of keys: as many as were asked for, if a number was.
    pub(crate) fn page_of(mut self, keys: Option<u16>) -> Self {
        let keys = keys.map_or(PAGE_KEYS, usize::from).min(PAGE_KEYS);
        self.answer_max = ANSWER_BYTES_MAX + KEY_BYTES_MAX * keys;
        self
    }
}

/// What makes a server give an object's bytes as they are stored. `identity` means that to all but
/// Google's, which decompresses what was stored with `Content-Encoding: gzip`, and tells no size and
/// knows no range of it then, unless `gzip` is accepted ("Transcoding of gzip-compressed files").
fn accepted_encoding(origin: &Origin) -> &'static str {
    let host = origin.endpoint.host().to_ascii_lowercase();
    if host.starts_with("storage.") && host.ends_with(".googleapis.com") {
        "gzip"
    } else {
        "identity"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(endpoint: &str) -> Origin {
        Origin {
            endpoint: endpoint.parse().unwrap(),
            bucket: "b".to_owned(),
            prefix: String::new(),
            region: String::new(),
            keys: None,
            ca_pem: None,
            shards: None,
        }
    }

    #[test]
    fn bytes_are_asked_for_as_they_are_stored() {
        let accepted = |endpoint, method| {
            let request = Request::object(&origin(endpoint), method, "k", &[]);
            let value = request.headers.get(ACCEPT_ENCODING).cloned();
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        for method in [Method::GET, Method::HEAD] {
            let identity = accepted("https://s3.example.com", method.clone());
            assert_eq!(identity.as_deref(), Some("identity"));
            for google in [
                "https://storage.googleapis.com",
                "https://Storage.me-1.rep.googleapis.com",
            ] {
                let gzip = accepted(google, method.clone());
                assert_eq!(gzip.as_deref(), Some("gzip"), "{google}");
            }
        }
        assert_eq!(accepted("https://s3.example.com", Method::PUT), None);
        let list = Request::bucket(&origin("https://storage.googleapis.com"), Method::GET, &[]);
        assert!(!list.headers.contains_key(ACCEPT_ENCODING));
    }

    #[test]
    fn a_refused_head_is_asked_why_with_a_byte() {
        let origin = origin("https://s3.example.com");
        let object = |method| Request::object(&origin, method, "k", &[]);
        let head = object(Method::HEAD).header(IF_MATCH, "\"1\"").unwrap();
        let why = head.asking_why().unwrap();
        assert_eq!((&why.method, &why.url), (&Method::GET, &head.url));
        assert_eq!(why.headers[RANGE], "bytes=0-0");
        assert_eq!(why.headers[IF_MATCH], "\"1\"");
        assert!(object(Method::GET).asking_why().is_none());
        assert!(
            Request::bucket(&origin, Method::HEAD, &[])
                .asking_why()
                .is_none()
        );
    }
}
