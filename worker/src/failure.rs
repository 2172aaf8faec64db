//! Failures as conditions show them: a class and a sentence, never a source's reply.

use std::fmt;

use dlf_cache::{ConfigError, ErrorKind, StoreError};
use dlf_core::network::{AddressNotAllowed, BadRule};
use dlf_wire::nodes::v1::Failure;

/// Reason of a source that nobody answers for.
pub const UNREACHABLE: &str = "Unreachable";
/// Reason of work that did not end in its time, though the source answers.
pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";

/// A failure that is the endpoint's: nobody answers there, whatever is asked for.
pub fn unreachable(place: impl fmt::Display, why: impl Into<String>) -> Failure {
    let why = why.into();
    Failure {
        reason: UNREACHABLE.to_owned(),
        message: format!("{place}: {why}"),
        unreachable: why,
    }
}

/// What an object store's error is to a user.
#[must_use]
pub fn of_store(error: &StoreError) -> Failure {
    let with_way_out = |what: String| match way_out(error.kind()) {
        Some(way_out) => format!("{what}; {way_out}"),
        None => what,
    };
    match error.kind() {
        // To who waits for a mount, nobody there and nobody answering are one thing.
        kind @ (ErrorKind::Timeout | ErrorKind::Unreachable(_)) => {
            unreachable(error.place(), with_way_out(kind.to_string()))
        }
        kind => Failure::new(kind.class(), with_way_out(error.to_string())),
    }
}

/// What it is to a user that keys which can list cannot write; none of what may pass: who reads does
/// not have to know, and mounts tell who writes.
#[must_use]
pub fn of_write(error: &StoreError) -> Option<Failure> {
    let kind = error.kind();
    let passes = matches!(
        kind,
        ErrorKind::Unreachable(_)
            | ErrorKind::Timeout
            | ErrorKind::SlowDown
            | ErrorKind::SourceFailing(_)
    );
    let message = format!(
        "pods can read and not write: {error}; permit these keys to write below the prefix (s3:PutObject, \
         s3:AbortMultipartUpload), or make the Dataset readonly: \"true\""
    );
    (!passes).then(|| Failure::new(kind.class(), message))
}

/// What a person can do about it, where the error does not say so itself.
const fn way_out(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NoSuchBucket => {
            "make it, correct spec.local.bucket, or let DLF make it with provision: \"true\""
        }
        ErrorKind::BucketTaken | ErrorKind::InvalidBucketName => {
            "choose another name in spec.local.bucket"
        }
        ErrorKind::InvalidRegion => "correct spec.local.region",
        ErrorKind::AccessDenied => {
            "permit these keys to list the bucket, or give others in spec.local.secret-name"
        }
        ErrorKind::KeysRejected => {
            "correct accessKeyID and secretAccessKey in the Dataset or its Secret"
        }
        ErrorKind::KeysExpired => {
            "write new ones, with their sessionToken, into the Secret that spec.local.secret-name names"
        }
        ErrorKind::ClockSkew => "set the clock that is wrong, the server's or the nodes'",
        ErrorKind::Unreachable(_) | ErrorKind::Timeout => {
            "check spec.local.endpoint, and that the server runs and lets pods of this cluster in"
        }
        ErrorKind::TlsFailed(_) => {
            "check spec.local.endpoint; a private CA is given in spec.local.ca-secret-name"
        }
        ErrorKind::AddressNotAllowed { .. } => {
            "an administrator can allow it in [network] allow of the configuration"
        }
        ErrorKind::RedirectRefused(_) => {
            "name the server that holds the bucket in spec.local.endpoint"
        }
        ErrorKind::SlowDown | ErrorKind::SourceFailing(_) => {
            "it is asked again; the server's own log tells more"
        }
        ErrorKind::Protocol(_) | ErrorKind::UnexpectedStatus(_) => {
            "spec.local.endpoint has to be the S3 server's own: not its console, nor another port, \
             and https where the server wants it"
        }
        ErrorKind::NoSpace => "delete what is not needed, or have the limit raised",
        _ => return None,
    })
}

/// What a configuration that no store can be made of is to a user.
#[must_use]
pub fn of_config(error: &ConfigError) -> Failure {
    Failure::new("InvalidConfiguration", error.to_string())
}

/// What a forbidden address is to a user.
#[must_use]
pub fn of_address(host: &str, refusal: &AddressNotAllowed) -> Failure {
    let message = format!(
        "{host} leads to an address that DLF does not dial: {refusal}; an administrator can allow \
         it in [network] allow of the configuration"
    );
    Failure::new("AddressNotAllowed", message)
}

/// What rules of a newer operator are: nothing is dialled while one of them is not understood.
#[must_use]
pub fn of_rule(error: &BadRule) -> Failure {
    Failure::new(
        "VersionMismatch",
        format!("{error}: worker and operator differ in version"),
    )
}
