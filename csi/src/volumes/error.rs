//! What the kubelet is told, and with it the user: these sentences become events of the pod.

use crate::host_path::HostPathError;
use crate::mounters::MounterError;
use crate::network::BadRule;
use crate::nfs::NfsError;
use crate::operator::NeedError;
use crate::state::StateError;
use crate::sys::SysError;

use super::TooSlow;

/// Why a dataset is not at a pod's target.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another call works on it.
    #[error("an earlier mount of this volume is still under way")]
    Busy,
    /// The target shows something else.
    #[error("the target is already in use for {0}")]
    Conflict(String),
    /// The operator did not grant it.
    #[error("{0}")]
    Need(#[from] NeedError),
    /// The grant could not be carried out.
    #[error("cannot mount dataset {dataset}: {cause}")]
    Mount {
        /// `namespace/name`.
        dataset: String,
        /// What went wrong.
        cause: MountError,
    },
    /// The driver's own records failed.
    #[error("{0}")]
    State(#[from] StateError),
    /// A bug: the work ended without a result.
    #[error("the node driver failed unexpectedly; see its log")]
    Internal,
}

/// Why a granted mount failed.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// Another call works on it.
    #[error("an earlier attempt is still under way; the source may be hanging")]
    Busy,
    /// The mounter did not serve it.
    #[error("{0}")]
    Mounter(#[from] MounterError),
    /// A host path.
    #[error("{0}")]
    HostPath(#[from] HostPathError),
    /// An NFS share.
    #[error("{0}")]
    Nfs(#[from] NfsError),
    /// The pod's part of the dataset is not there.
    #[error(
        "the dataset has no directory {0:?}: create it, or change the pod's subpath annotation"
    )]
    NoSubpath(String),
    /// The pod's part is none of the dataset.
    #[error(
        "the subpath {0:?} leads out of the dataset, or through a symbolic link, which is not followed: name a real directory in \
         the pod's subpath annotation"
    )]
    SubpathLeadsOut(String),
    /// The address rules cannot be read.
    #[error("{0}")]
    Network(#[from] BadRule),
    /// A system call.
    #[error("{0}")]
    Sys(#[from] SysError),
    /// A system call that hangs.
    #[error("{0}; the source may be hanging")]
    TooSlow(#[from] TooSlow),
    /// The driver's own records failed.
    #[error("{0}")]
    State(#[from] StateError),
}

impl PublishError {
    /// `CamelCase` class, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "Busy",
            Self::Conflict(_) => "Conflict",
            Self::Need(NeedError::Refused(_)) => "Refused",
            Self::Need(_) => "OperatorAway",
            Self::Mount { cause, .. } => cause.reason(),
            Self::State(_) => "StateFailed",
            Self::Internal => "Internal",
        }
    }
}

impl MountError {
    /// `CamelCase` class, for metrics and for the operator.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "Busy",
            Self::Mounter(MounterError::NoMounter | MounterError::NotListening(_)) => "MounterAway",
            Self::Mounter(MounterError::NoMemory(_)) => "MounterMemory",
            Self::Mounter(_) => "MounterFailed",
            Self::HostPath(error) => error.reason(),
            Self::Nfs(error) => error.reason(),
            Self::NoSubpath(_) => "NoSuchSubpath",
            Self::SubpathLeadsOut(_) => "SubpathLeadsOut",
            Self::Network(_) => "VersionSkew",
            Self::Sys(_) => "MountFailed",
            Self::TooSlow(_) => "TooSlow",
            Self::State(_) => "StateFailed",
        }
    }
}

/// Why a target is not free again.
#[derive(Debug, thiserror::Error)]
pub enum UnpublishError {
    /// Another call works on it.
    #[error("a mount of this volume is still under way")]
    Busy,
    /// A system call.
    #[error("{0}")]
    Sys(#[from] SysError),
    /// A system call that hangs.
    #[error("{0}")]
    TooSlow(#[from] TooSlow),
    /// The driver's own records failed.
    #[error("{0}")]
    State(#[from] StateError),
}
