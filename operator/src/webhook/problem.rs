use thiserror::Error;

use super::{datasets::Unanswered, review::Unreadable};

/// Why a request could not be decided on. The answer is a refusal all the same, never a failure of
/// the webhook: the user sees this text.
#[derive(Debug, Error)]
pub(super) enum Problem {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The API server was asked and did not answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Its body did not come, or is larger than any object.
    #[error("the admission request's body {0}")]
    Body(&'static str),
}
