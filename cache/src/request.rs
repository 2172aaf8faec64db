//! A request before it has a signature, a URL and a fate.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use crate::error::ErrorKind;
use crate::object::Payload;
use crate::origin::Origin;
use crate::target::Target;

/// What a listing may take for each key: its 1,024 bytes, each of them escaped, and what stands
/// around them.
const KEY_BYTES_MAX: usize = 8 * 1024;

/// What stands around all keys of a page.
const PAGE_BYTES: usize = 64 * 1024;

/// The longest answer that is read whole: a full page, of 1,000 keys.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

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

    /// Expects a page of no more than `keys` keys, if a number was asked for.
    pub(crate) fn page_of(mut self, keys: Option<u16>) -> Self {
        if let Some(keys) = keys {
            let page = PAGE_BYTES + KEY_BYTES_MAX * usize::from(keys);
            self.answer_max = page.min(ANSWER_BYTES_MAX);
        }
        self
    }
}
