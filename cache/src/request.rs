//! A request before it has a signature, a URL and a fate.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use crate::error::ErrorKind;
use crate::object::Payload;
use crate::origin::Origin;
use crate::target::Target;

/// The longest answer that is read whole: all tags of a bucket, or a full page of ordinary keys from
/// a server that overlooks how many were asked for.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// What each key that was asked for may add to it: its 1,024 bytes, each of them escaped, and what
/// stands around them.
const KEY_BYTES_MAX: usize = 8 * 1024;

/// Keys of a page where no number was asked for: S3's limit.
const PAGE_KEYS: usize = 1_000;

/// One S3 request to one origin.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
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
        Self {
            nameless: origin.prefix.is_empty() && key.is_empty(),
            ..Self::new(method, Target::new(origin, Some(key), query), false)
        }
    }

    /// About the bucket.
    pub(crate) fn bucket(origin: &Origin, method: Method, query: &[(&str, &str)]) -> Self {
        Self::new(method, Target::new(origin, None, query), true)
    }

    fn new(method: Method, target: Target, of_bucket: bool) -> Self {
        Self {
            method,
            target,
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
