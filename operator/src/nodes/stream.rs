//! One stream, from its hello to its end.

pub(super) mod node;
pub(super) mod worker;

use std::time::Duration;

use dlf_wire::nodes::v1::Token;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::identity::{Identify, Identity, IdentityError};
use super::refusal::{not_leader, refused};

/// After a token had lapsed, and the API server did not say whether it has.
const REVIEW_AGAIN: Duration = Duration::from_secs(30);

/// What a stream lives on.
pub(super) struct Credential {
    pub(super) identity: Identity,
    pub(super) token: Token,
    pub(super) expires: Instant,
}

impl Credential {
    /// Takes a token that was sent again. The same one is not reviewed a second time: that would
    /// cost the API server a request per node every few minutes and tell nothing new.
    async fn renew(&mut self, token: Token, reviewer: &dyn Identify) -> Result<(), Status> {
        if token == self.token {
            return Ok(());
        }
        let identity = reviewer
            .identify(&token)
            .await
            .map_err(|error| refused(&error))?;
        let same = |identity: &Identity| {
            (
                identity.program,
                identity.node.clone(),
                identity.pod.clone(),
            )
        };
        if same(&identity) != same(&self.identity) {
            return Err(Status::permission_denied(
                "the new token belongs to somebody else",
            ));
        }
        self.expires = Instant::now() + identity.lifetime;
        (self.identity, self.token) = (identity, token);
        Ok(())
    }

    /// Resolves when the token does not count any more. That is the API server's word, not that of our
    /// clock; while it says nothing, the stream goes on.
    async fn lapsed(&mut self, reviewer: &dyn Identify) -> Status {
        loop {
            sleep_until(self.expires).await;
            self.expires = match reviewer.identify(&self.token).await {
                Ok(identity) => Instant::now() + identity.lifetime,
                Err(IdentityError::Review(_)) => Instant::now() + REVIEW_AGAIN,
                Err(_) => {
                    let message = "the token has expired and no new one was sent";
                    return Status::unauthenticated(message);
                }
            };
        }
    }
}

/// Why a stream ended, for the log.
fn reason(ended: Option<&Status>) -> &str {
    ended.map_or("the other side ended it", Status::message)
}

/// Resolves when this replica no longer serves streams.
async fn stopped(serving: &mut watch::Receiver<bool>) -> Status {
    // An error means that the server itself has gone.
    drop(serving.wait_for(|serving| !*serving).await);
    not_leader()
}
