//! Why an NFS share cannot be mounted, in the user's words.

use std::io;
use std::net::SocketAddr;

use dlf_core::network::AddressNotAllowed;
use dlf_wire::dataset::v1::NfsVolume;
use rustix::io::Errno;

use super::options::OptionsError;
use crate::sys::SysError;

/// A mount that failed.
#[derive(Debug, thiserror::Error)]
pub enum NfsError {
    /// An option that is unknown or not ours to allow.
    #[error("{0}")]
    Options(#[from] OptionsError),
    /// The name has no address.
    #[error("cannot resolve the NFS server {0}: {1}")]
    Resolve(String, io::Error),
    /// The name resolves to nothing.
    #[error("the NFS server {0} has no address")]
    NoAddress(String),
    /// The address is out of bounds for tenants.
    #[error("the NFS server's address: {0}")]
    Refused(AddressNotAllowed),
    /// Nobody answers there.
    #[error("the NFS server {0} does not answer: {1}")]
    Unreachable(SocketAddr, String),
    /// The kernel has no client.
    #[error(
        "this node's kernel has no NFS client: load the module nfs (for example with modprobe nfs) \
         or use a node that has it"
    )]
    NoNfsClient,
    /// The server has no such share.
    #[error("the NFS server {server} has no share {share}")]
    NoSuchShare {
        /// The server's name.
        server: String,
        /// The share that was looked for.
        share: String,
    },
    /// The server does not let this node in.
    #[error("the NFS server {server} does not let this node mount {share}: see its export list")]
    AccessDenied {
        /// The server's name.
        server: String,
        /// The share that was asked for.
        share: String,
    },
    /// No common protocol version.
    #[error("the NFS server {0} speaks none of the protocol versions that were tried")]
    Version(String),
    /// The kernel does not understand the options.
    #[error("the kernel refuses the mount options {0:?}; its log has the details")]
    BadOptions(String),
    /// The share's directories could not be made.
    #[error("cannot make the share {0}: {1}")]
    Create(String, SysError),
    /// A call around the mount failed.
    #[error("{0}")]
    Sys(#[from] SysError),
    /// Anything else that mount(2) says.
    #[error("cannot mount {share} from {server}: {errno}")]
    Mount {
        /// The server's name.
        server: String,
        /// The share that was asked for.
        share: String,
        /// What the kernel answered.
        errno: Errno,
    },
}

impl NfsError {
    pub(super) fn of(errno: Errno, volume: &NfsVolume, share: &str, address: SocketAddr) -> Self {
        let server = volume.server.clone();
        let share = share.to_owned();
        match errno {
            Errno::NODEV => Self::NoNfsClient,
            Errno::NOENT => Self::NoSuchShare { server, share },
            Errno::ACCESS | Errno::PERM => Self::AccessDenied { server, share },
            Errno::PROTONOSUPPORT => Self::Version(server),
            Errno::INVAL => Self::BadOptions(volume.options.clone()),
            Errno::CONNREFUSED | Errno::TIMEDOUT | Errno::HOSTUNREACH | Errno::NETUNREACH => {
                Self::Unreachable(address, errno.to_string())
            }
            _ => Self::Mount {
                server,
                share,
                errno,
            },
        }
    }

    /// `CamelCase` class for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Options(_) | Self::BadOptions(_) => "NfsBadOptions",
            Self::Resolve(..) | Self::NoAddress(_) | Self::Unreachable(..) => "Unreachable",
            Self::Refused(_) => "AddressNotAllowed",
            Self::NoNfsClient => "NoNfsClient",
            Self::NoSuchShare { .. } => "NoSuchShare",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::Version(_) => "NfsVersion",
            Self::Create(..) | Self::Sys(_) | Self::Mount { .. } => "NfsMountFailed",
        }
    }
}
