//! What can go wrong with a store, in classes that a program can act on and a person understand.
//!
//! An error names the endpoint and the bucket and nothing that the source wrote: its reply bodies
//! are read for their error code alone, and only codes of our table have an effect and are shown,
//! because they are what people search for. Whoever wants to show any other word of the source's
//! asks for it ([`StoreError::code`]).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use dlf_core::network::AddressNotAllowed;

use crate::answer::by_code;
use crate::origin::Origin;

/// An operation that failed, after all retries.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {kind}{}", self.known_code())]
pub struct StoreError {
    kind: ErrorKind,
    code: Option<Code>,
    place: Arc<Place>,
}

impl StoreError {
    pub(crate) fn new(failure: impl Into<Failure>, place: &Arc<Place>) -> Self {
        let Failure { kind, code } = failure.into();
        Self {
            kind,
            code,
            place: Arc::clone(place),
        }
    }

    /// Bucket and endpoint, for a person.
    #[must_use]
    pub fn place(&self) -> impl fmt::Display {
        &*self.place
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The reason that conditions and events show, in `CamelCase`.
    #[must_use]
    pub fn class(&self) -> &'static str {
        self.kind.class()
    }

    /// In brackets, unless it says what the class says.
    fn known_code(&self) -> String {
        let known = |code: &&str| *code != self.class() && by_code(code).is_some();
        let known = self.code().filter(known);
        known.map_or_else(String::new, |code| format!(" ({code})"))
    }

    /// The server's own word for it, as `QuotaExceeded`, if it gave one that can be shown anywhere:
    /// letters and digits, at most 64.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_ref().map(|code| &*code.0)
    }
}

/// A failure, and what the server called it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) code: Option<Code>,
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, code: None }
    }
}

/// An error code as a server wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code(Arc<str>);

impl Code {
    /// Twice as long as any that we know (`by_code`), and short enough for a line that people read.
    const BYTES_MAX: usize = 64;

    /// None if this is no word that can be shown anywhere.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        (is_word && fits).then(|| Self(text.into()))
    }
}

/// Where it happened, for people.
#[derive(Debug)]
pub(crate) struct Place {
    endpoint: String,
    bucket: String,
}

impl Place {
    pub(crate) fn of(origin: &Origin) -> Self {
        Self {
            endpoint: origin.endpoint.to_string(),
            bucket: origin.bucket.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket {} at {}", self.bucket, self.endpoint)
    }
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// No such object (or, in answer to `head`, perhaps no such bucket: such answers have no body).
    #[error("there is no such object")]
    NotFound,
    /// The bucket does not exist.
    #[error("the bucket does not exist")]
    NoSuchBucket,
    /// A bucket of that name belongs to somebody else.
    #[error("a bucket of this name exists and belongs to somebody else")]
    BucketTaken,
    /// The bucket was there before, and belongs to these keys.
    #[error("the bucket exists already")]
    BucketAlreadyOwned,
    /// The bucket holds objects.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// The multipart upload is not there any more: completed, aborted or expired.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// The keys are good, but not for this.
    #[error("these keys do not permit it (without keys: the bucket is not public)")]
    AccessDenied,
    /// The keys are not known there, or the secret does not belong to the identifier.
    #[error("the server does not accept the keys")]
    KeysRejected,
    /// Temporary keys whose time is over, or whose session token is not what came with them.
    #[error("the temporary keys have expired, or their session token is not valid")]
    KeysExpired,
    /// The server's clock or ours is wrong, and its answer does not help.
    #[error("the server's clock and ours differ too much")]
    ClockSkew,
    /// The bucket is in another region than the one configured, and asking there was of no use.
    #[error("the bucket is in region {region}: set it, and the endpoint of that region")]
    WrongRegion {
        /// What the source says, checked to be the name of a region.
        region: String,
    },
    /// The object is not the version asked for, or exists where it must not.
    #[error("the object was replaced")]
    PreconditionFailed,
    /// The range begins behind the object's end.
    #[error("the range lies behind the object's end")]
    RangeNotSatisfiable,
    /// Nothing answers there: no such name, connection refused, broken off, no route.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Something takes connections but does not answer in time.
    #[error("it does not answer in time")]
    Timeout,
    /// TLS failed: an unknown CA, another name, an expired certificate, no TLS at all.
    #[error("TLS failed: {0}")]
    TlsFailed(&'static str),
    /// The name leads only to addresses that may not be dialled.
    #[error("{refusal}{}", led_there(host, refusal))]
    AddressNotAllowed {
        /// The name that was resolved, of the endpoint or of a redirect.
        host: String,
        /// The last of its addresses, and the rule that refuses it.
        refusal: AddressNotAllowed,
    },
    /// The server redirects too often, to something that is not S3 or from https to http.
    #[error("it redirects, and that cannot be followed: {0}")]
    RedirectRefused(&'static str),
    /// The server asks for fewer requests and keeps asking.
    #[error("it asks to slow down")]
    SlowDown,
    /// The server fails on its side and keeps failing.
    #[error("it fails on its side (status {0})")]
    SourceFailing(u16),
    /// The store is full, the object too large for it or a quota used up.
    #[error("it has no room for this: a quota, a limit or a full disk")]
    NoSpace,
    /// The bucket's name breaks a rule of the server's.
    #[error("it does not take this name for a bucket")]
    InvalidBucketName,
    /// The server knows no such region.
    #[error("it does not know the region")]
    InvalidRegion,
    /// An object's key is longer than the server takes.
    #[error("the object's key is too long for it")]
    KeyTooLong,
    /// The object's bytes are in an archive.
    #[error("the object is in an archive and has to be restored first")]
    Archived,
    /// The server wants the bucket in the host's name.
    #[error(
        "it takes a bucket in the host's name only (`https://BUCKET.HOST`), which DLF does not speak"
    )]
    PathStyleRefused,
    /// The endpoint is that of one bucket: `https://BUCKET.HOST`.
    #[error("the endpoint's host stands for a bucket already: leave the bucket out of its name")]
    BucketInEndpoint,
    /// The server does not implement the request.
    #[error("it does not support this request")]
    Unsupported,
    /// The configuration changed to one without the operation's origin, or never had a usable one.
    #[error("the configuration cannot be used: {0}")]
    Config(String),
    /// The answer is not S3.
    #[error("it does not speak S3: {0}")]
    Protocol(&'static str),
    /// A status that the request does not have.
    #[error("it answers with status {0}")]
    UnexpectedStatus(u16),
}

impl ErrorKind {
    /// The reason that conditions and events show, in `CamelCase`.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::NoSuchBucket => "NoSuchBucket",
            Self::BucketTaken => "BucketTaken",
            Self::BucketAlreadyOwned => "BucketAlreadyOwned",
            Self::BucketNotEmpty => "BucketNotEmpty",
            Self::NoSuchUpload => "NoSuchUpload",
            Self::AccessDenied => "AccessDenied",
            Self::KeysRejected => "KeysRejected",
            Self::KeysExpired => "KeysExpired",
            Self::ClockSkew => "ClockSkew",
            Self::WrongRegion { .. } => "WrongRegion",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::RangeNotSatisfiable => "RangeNotSatisfiable",
            Self::Unreachable(_) => "Unreachable",
            Self::Timeout => "Timeout",
            Self::TlsFailed(_) => "TlsFailed",
            Self::AddressNotAllowed { .. } => "AddressNotAllowed",
            Self::RedirectRefused(_) => "RedirectRefused",
            Self::SlowDown => "SlowDown",
            Self::SourceFailing(_) => "SourceFailing",
            Self::NoSpace => "NoSpace",
            Self::InvalidBucketName => "InvalidBucketName",
            Self::InvalidRegion => "InvalidRegion",
            Self::KeyTooLong => "KeyTooLong",
            Self::Archived => "Archived",
            Self::PathStyleRefused => "PathStyleRefused",
            Self::BucketInEndpoint => "BucketInEndpoint",
            Self::Unsupported => "Unsupported",
            Self::Config(_) => "InvalidConfiguration",
            Self::Protocol(_) | Self::UnexpectedStatus(_) => "NotS3",
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Timeout | Self::SlowDown | Self::SourceFailing(_)
        )
    }

    /// Whether other keys might help.
    pub(crate) fn is_refusal(&self) -> bool {
        *self == Self::AccessDenied || self.rejects_keys()
    }

    /// Whether these keys will do nothing more: who may wait for others does.
    #[must_use]
    pub fn rejects_keys(&self) -> bool {
        matches!(self, Self::KeysRejected | Self::KeysExpired)
    }

    /// Whether the origin could not answer at all, so that a later one should be asked.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.may_pass() || matches!(self, Self::TlsFailed(_) | Self::AddressNotAllowed { .. })
    }
}

/// How a name comes into a refusal of an address; an address leads to itself.
fn led_there(host: &str, refusal: &AddressNotAllowed) -> String {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    if address.is_ok_and(|address| address.to_canonical() == refusal.address.ip()) {
        String::new()
    } else {
        format!(" ({host} leads there)")
    }
}
