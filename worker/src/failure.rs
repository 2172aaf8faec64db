//! Failures as conditions show them: a class and a sentence, never a source's reply.

use dlf_cache::{ConfigError, ErrorKind, StoreError};
use dlf_core::network::{AddressNotAllowed, BadRule};
use dlf_wire::nodes::v1::Failure;

/// Reason of a source that nobody answers for.
pub const UNREACHABLE: &str = "Unreachable";
/// Reason of work that did not end in its time, though the source answers.
pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";

/// A failure of its two parts.
pub fn failure(reason: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure {
        reason: reason.into(),
        message: message.into(),
    }
}

/// What an object store's error is to a user.
#[must_use]
pub fn of_store(error: &StoreError) -> Failure {
    let reason = match error.kind() {
        // To who waits for a mount, nobody there and nobody answering are one thing.
        ErrorKind::Timeout => UNREACHABLE,
        kind => kind.class(),
    };
    failure(reason, error.to_string())
}

/// What a configuration that no store can be made of is to a user.
#[must_use]
pub fn of_config(error: &ConfigError) -> Failure {
    failure("InvalidConfiguration", error.to_string())
}

/// What a forbidden address is to a user.
#[must_use]
pub fn of_address(host: &str, refusal: &AddressNotAllowed) -> Failure {
    let message = format!("{host} leads to an address that DLF does not dial: {refusal}");
    failure("AddressNotAllowed", message)
}

/// What rules of a newer operator are: nothing is dialled while one of them is not understood.
#[must_use]
pub fn of_rule(error: &BadRule) -> Failure {
    failure(
        "VersionMismatch",
        format!("{error}: worker and operator differ in version"),
    )
}
