//! What can go wrong with a reconcile: to be tried again, or for the user to mend.

use dlf_core::api::Phase;
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
}

impl Problem {
    /// One that only an edit cures.
    pub fn failed(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            phase: Phase::Failed,
        }
    }

    /// One that heals when what it names is there.
    pub fn pending(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            phase: Phase::Pending,
        }
    }
}
