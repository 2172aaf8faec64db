use std::net::SocketAddr;
use std::path::PathBuf;

use tonic::{Code, Status};

/// Why no stream to the operator could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The operator's address is not `host:port`.
    #[error("{0:?} is not host:port")]
    Target(String),
    /// A file that the installation provides cannot be read (yet).
    #[error("{}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What reading it said.
        error: std::io::Error,
    },
    /// The name has no address.
    #[error("{host}: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        error: std::io::Error,
    },
    /// TCP or TLS failed.
    #[error("{address}: {error}")]
    Connect {
        /// With whom.
        address: SocketAddr,
        /// What went wrong, with its causes.
        error: String,
    },
    /// The operator refused the stream; with `Unavailable` it is not the leader.
    #[error("{address}: {}: {}", status.code(), status.message())]
    Refused {
        /// Who refused.
        address: SocketAddr,
        /// With what words.
        status: Box<Status>,
    },
}

impl DialError {
    /// A follower's answer tells less than any other when the round's one error is chosen.
    pub(super) fn is_follower(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.code() == Code::Unavailable)
    }
}
