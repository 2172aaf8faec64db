//! A request before it has a signature, a URL and a fate.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use crate::error::ErrorKind;
use crate::object::Payload;
use crate::origin::Origin;
use crate::target::Target;

/// One S3 request to one origin.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// Whether it is about the bucket and not about an object: tells what a 404 means.
    pub(crate) of_bucket: bool,
    /// Whether the server works before it answers, so that silence is no sign of death.
    pub(crate) slow: bool,
}

impl Request {
    /// About the object `key` beneath the origin's prefix.
    pub(crate) fn object(
        origin: &Origin,
        method: Method,
        key: &str,
        query: &[(&str, &str)],
    ) -> Self {
        Self::new(method, Target::new(origin, Some(key), query), false)
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
            slow: false,
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
}
