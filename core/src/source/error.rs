use thiserror::Error;

/// What is wrong with a spec, with the key it is about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key}: {kind}")]
pub struct SourceError {
    /// Path of the key in the object, as `spec.local.endpoint`.
    pub key: String,
    /// What is wrong with it.
    pub kind: SourceErrorKind,
}

impl SourceError {
    pub(super) fn new(key: impl Into<String>, kind: SourceErrorKind) -> Self {
        Self {
            key: key.into(),
            kind,
        }
    }

    /// The class of the error, for a condition's reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self.kind {
            SourceErrorKind::NotSupported { .. } => "SourceTypeNotSupported",
            _ => "InvalidSpec",
        }
    }
}

/// What can be wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceErrorKind {
    /// A source has to be given one way.
    #[error(
        "found {found}; give exactly one of spec.local, spec.remote, or spec.type ARCHIVE with spec.local as its target"
    )]
    NotOneSource {
        /// What was found.
        found: String,
    },
    /// It does not have the shape of a spec at all.
    #[error(
        "cannot be read: {detail}; it was there before the CRD had its rules, or got past them"
    )]
    Unreadable {
        /// Which part, and why.
        detail: String,
    },
    /// A required key is missing or empty.
    #[error("is missing; {expected} is required")]
    Missing {
        /// What it should hold.
        expected: &'static str,
    },
    /// A key nobody reads.
    #[error("is not a key of type {kind}; it takes {expected}")]
    Unknown {
        /// The source's type.
        kind: &'static str,
        /// The keys it takes.
        expected: String,
    },
    /// A value outside what the key takes.
    #[error("found {found:?}; expected {expected}")]
    Invalid {
        /// The value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two ways to say a thing that say different things.
    #[error("found {found:?}, but {other} says {says:?}; make them agree or leave one out")]
    Disagrees {
        /// The value.
        found: String,
        /// The other key.
        other: &'static str,
        /// The other's value.
        says: String,
    },
    /// A source this version cannot serve.
    #[error("{kind} is not supported by this version; supported are COS, NFS and HOST")]
    NotSupported {
        /// The source's type.
        kind: &'static str,
    },
}
