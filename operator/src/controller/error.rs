//! What can go wrong with a reconcile: to be tried again, or for the user to mend.

use std::time::Duration;

use dlf_core::{api::Phase, shown};
use prometheus_client::encoding::EncodeLabelValue;
use thiserror::Error;

/// Why a reconcile has to be tried again: nothing in it is the user's to mend.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The API server did not do what was asked.
    #[error("{doing}: {source}")]
    Api {
        /// What was being done.
        doing: &'static str,
        /// What it answered.
        #[source]
        source: kube::Error,
    },
    /// An object without a name, a namespace or a uid: it was never in the API server.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
    /// It took too long, so that it held up others.
    #[error("it was not done within {0} s")]
    Deadline(u64),
    /// It is a mistake of ours or of a plugin's. The log has what it said.
    #[error("the code that does it panicked")]
    Panicked,
}

/// What went wrong, in so few words that they can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Class {
    /// A write met another one.
    Conflict,
    /// What it was about is gone.
    NotFound,
    /// The API server refuses it to us.
    Forbidden,
    /// The API server does not take the object.
    Invalid,
    /// The API server has too much to do.
    Overloaded,
    /// The API server failed.
    ServerError,
    /// The API server was not reached, or did not answer.
    Unreachable,
    /// It took too long.
    Deadline,
    /// A mistake of ours or of a plugin's.
    Bug,
}

impl ReconcileError {
    /// What it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Api { source, .. } => class_of(source),
            Self::Deadline(_) => Class::Deadline,
            Self::Incomplete(_) | Self::Panicked => Class::Bug,
        }
    }
}

fn class_of(error: &kube::Error) -> Class {
    match error {
        kube::Error::Api(status) => match status.code {
            409 => Class::Conflict,
            404 => Class::NotFound,
            401 | 403 => Class::Forbidden,
            400..=428 => Class::Invalid,
            429 => Class::Overloaded,
            _ => Class::ServerError,
        },
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Class::Bug,
        _ => Class::Unreachable,
    }
}

/// When an object is looked at again after a reconcile that did what it could, unless something
/// wakes it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Not before it is woken.
    Wait,
    /// After this long: it is as it should be.
    After(Duration),
    /// Something that its condition names stands in the way: after this long, and twice as long
    /// each time.
    Blocked(Duration),
}

/// Says what was being done when the API server refused.
pub trait Doing<T> {
    /// Adds what was being done.
    ///
    /// # Errors
    /// The error it had, with that.
    fn doing(self, doing: &'static str) -> Result<T, ReconcileError>;
}

impl<T> Doing<T> for Result<T, kube::Error> {
    fn doing(self, doing: &'static str) -> Result<T, ReconcileError> {
        self.map_err(|source| ReconcileError::Api { doing, source })
    }
}

/// Something a user has to know or mend: a condition and an event, not a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A class in CamelCase.
    pub reason: String,
    /// What, where, and the way out.
    pub message: String,
    /// Whether only an edit cures it, or it may heal by itself.
    pub phase: Phase,
    /// When to look again, where the message says so.
    pub again_in: Option<Duration>,
}

impl Problem {
    /// One that only an edit cures.
    pub fn failed(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            phase: Phase::Failed,
            again_in: None,
        }
    }

    /// One that heals when what it names is there.
    pub fn pending(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            phase: Phase::Pending,
            again_in: None,
        }
    }
}

/// Longest refusal that is passed on: the API server names quota, object and limits in less.
const REFUSAL_BYTES_MAX: usize = 1024;

/// What the API server refuses to make because of a rule of the cluster's: a quota, a limit, an
/// admission policy. The user can mend that, and trying again alone does not.
///
/// # Errors
/// The error it had, when it is another.
pub fn refusal(error: kube::Error, kind: &str, name: &str) -> Result<Problem, kube::Error> {
    match error {
        kube::Error::Api(status)
            if matches!(status.code, 403 | 422)
                || status.code == 400 && is_of_policy(&status.message) =>
        {
            let why = sentence(&status.message);
            Ok(Problem::pending(
                "RefusedByCluster",
                format!(
                    "the API server refuses {kind} {name}, which this Dataset needs: {why}; once that is mended this \
                     heals by itself"
                ),
            ))
        }
        other => Err(other),
    }
}

/// What the API server said, as a condition passes it on.
#[must_use]
pub fn sentence(said: &str) -> String {
    shown::line(said, REFUSAL_BYTES_MAX)
}

/// Whether the API server says that a policy or a webhook of the cluster refuses, by whatever code: those
/// choose their own.
#[must_use]
pub fn is_of_policy(message: &str) -> bool {
    message.contains("denied the request") || message.contains("denied request")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(kube::core::Status {
            code,
            message: message.to_owned(),
            ..kube::core::Status::default()
        }))
    }

    #[test]
    fn a_quota_is_the_users_to_mend_and_a_conflict_is_not() {
        let quota = answer(
            403,
            "exceeded quota: team, limited: persistentvolumeclaims=0",
        );
        let problem = refusal(quota, "PersistentVolumeClaim", "books").unwrap();
        for part in ["PersistentVolumeClaim books", "persistentvolumeclaims=0"] {
            assert!(problem.message.contains(part), "{}", problem.message);
        }
        assert!(refusal(answer(422, &"é".repeat(5000)), "Secret", "x").is_ok());
        let webhook = "admission webhook \"a.example.com\" denied the request: no";
        assert!(refusal(answer(400, webhook), "Secret", "x").is_ok());
        assert!(refusal(answer(400, "cannot be read"), "Secret", "x").is_err());
        assert!(refusal(answer(409, "conflict"), "Secret", "x").is_err());
        assert!(refusal(answer(500, "broken"), "Secret", "x").is_err());
    }

    #[test]
    fn what_the_api_server_answers_has_a_class() {
        for (code, class) in [
            (409, Class::Conflict),
            (404, Class::NotFound),
            (403, Class::Forbidden),
            (422, Class::Invalid),
            (429, Class::Overloaded),
            (503, Class::ServerError),
        ] {
            let failed: Result<(), _> = Err(answer(code, ""));
            assert_eq!(
                failed.doing("testing").unwrap_err().class(),
                class,
                "{code}"
            );
        }
    }
}
