//! What a stream that is refused or ended is told.

use tonic::Status;

use super::identity::{Identity, IdentityError};

/// What a client is told that has to try the next address.
pub(super) fn not_leader() -> Status {
    Status::unavailable("this replica is not the leader")
}

pub(super) fn refused(error: &IdentityError) -> Status {
    match error {
        // Not the client's fault: it should try again, also with this token. What the API server said
        // is not for somebody whom nobody knows yet.
        IdentityError::Review(_) => Status::unavailable(
            "the API server did not review the token; the operator's log says why",
        ),
        _ => Status::unauthenticated(error.to_string()),
    }
}

pub(super) fn crowded() -> Status {
    Status::resource_exhausted("too many streams of this address ask to be let in, or were refused")
}

pub(super) fn no_hello() -> Status {
    Status::invalid_argument("a stream begins with a hello")
}

pub(super) fn impostor(identity: &Identity, claimed: &str) -> Status {
    tracing::warn!(
        ?identity,
        claimed,
        "a stream was refused: the token is somebody else's"
    );
    Status::permission_denied(format!("the token is not that of {claimed}"))
}
