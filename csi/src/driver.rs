//! The program put together.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dlf_listen::{Listener, OF_HEALTH};
use dlf_wire::csi::identity_server::IdentityServer;
use dlf_wire::csi::node_server::NodeServer;
use dlf_wire::dataset::v1::{NetworkRules, NfsVolume};
use dlf_wire::dial::{DialError, Dialer};
use dlf_wire::pluginregistration::registration_server::RegistrationServer;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::sync::watch;
use tonic::transport::Server;

use crate::cli::{DriverArgs, MountNfsArgs};
use crate::directories::Directories;
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::mounters::Mounters;
use crate::mountinfo::MountTable;
use crate::network::{BadRule, address_rules};
use crate::nfs::{self, NfsError};
use crate::operator::Operator;
use crate::registration::RegistrationService;
use crate::service::{IdentityService, NodeService};
use crate::state::{State, StateError};
use crate::sys::SysError;
use crate::sys::staging::{Staging, mount_private_tmpfs};
use crate::volumes::restore::{RestoreError, restore};
use crate::volumes::{Dependencies, Volumes};
use crate::{http, socket};

/// Why the driver cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// `DLF_NODE` is not set.
    #[error("the node's name is missing: set DLF_NODE")]
    NoNode,
    /// The kernel shows mounts by their real paths, which we compare with the kubelet's.
    #[error("{0} is not the real path of a directory: set DLF_KUBELET_DIR to that")]
    KubeletDir(PathBuf),
    /// What is mounted there would never reach a pod.
    #[error(
        "the mount that holds {0} is not shared with the node: mount the kubelet's directory with \
         mountPropagation Bidirectional"
    )]
    NotShared(PathBuf),
    /// `DLF_OPERATOR` cannot be used.
    #[error("{0}")]
    Operator(#[from] DialError),
    /// The state directory.
    #[error("{0}")]
    State(#[from] StateError),
    /// What an earlier driver left.
    #[error("{0}")]
    Restore(#[from] RestoreError),
    /// A mount or directory of our own.
    #[error("{0}")]
    Sys(#[from] SysError),
    /// A socket of our own.
    #[error("cannot serve {0}: {1}")]
    Listen(String, io::Error),
    /// A server ended.
    #[error("a server of the driver failed: {0}")]
    Serve(String),
}

/// Runs the driver. It can be dropped at any point, and ends by itself only with an error. Mounts
/// stay: the next driver takes them over.
pub async fn run(args: DriverArgs) -> Result<Infallible, DriverError> {
    if args.node.is_empty() {
        return Err(DriverError::NoNode);
    }
    check_kubelet_dir(&args.kubelet_dir)?;
    let layout = Layout::new(args.kubelet_dir.clone());
    mount_private_tmpfs(&layout.state())?;
    let _lock = lock(&layout.state()).await?;
    let metrics = Metrics::default();
    let dialer = Dialer::new(&args.operator, &args.ca, &args.token)?;
    let (operator, connection, orders) = Operator::new(dialer, args.node.clone());
    let (mounters, events) = Mounters::watch(layout.mounters());
    let directories = Directories::open(layout.staging(), args.staging.limits())?;
    let volumes = Volumes::new(Dependencies {
        host: args.host_dir,
        state: State::load(&layout.state())?,
        staging: Arc::new(Staging::new(layout.state().join("staging"))?),
        directories: Arc::new(directories),
        operator,
        mounters,
        metrics: metrics.clone(),
        layout: layout.clone(),
    })?;
    restore(&volumes)?;
    tokio::spawn(volumes.clone().supervise(events, orders));
    tokio::spawn(connection.run(volumes.clone()));

    let (registered, ready) = watch::channel(false);
    let listener = Listener::bind(args.http, OF_HEALTH).await;
    let listener = listener.map_err(|error| DriverError::Listen(args.http.to_string(), error))?;
    let csi = listen(&layout.csi_socket())?;
    // Last: from here on the kubelet calls.
    let registration = listen(&layout.registration_socket())?;
    let node = NodeService::new(volumes, args.kubelet_dir, args.node);
    let serve_csi = Server::builder()
        .add_service(IdentityServer::new(IdentityService))
        .add_service(NodeServer::new(node))
        .serve_with_incoming(csi);
    let service = RegistrationService::new(layout.csi_socket(), registered);
    let serve_registration = Server::builder()
        .add_service(RegistrationServer::new(service))
        .serve_with_incoming(registration);
    let ended = tokio::select! {
        ended = serve_csi => format!("{ended:?}"),
        ended = serve_registration => format!("{ended:?}"),
        ended = http::serve(listener, metrics, ready) => format!("{ended:?}"),
    };
    Err(DriverError::Serve(ended))
}

fn check_kubelet_dir(directory: &Path) -> Result<(), DriverError> {
    if directory.canonicalize().ok().as_deref() != Some(directory) {
        return Err(DriverError::KubeletDir(directory.to_owned()));
    }
    let shared = MountTable::read().is_ok_and(|mounts| {
        let mount = mounts.holding(directory);
        mount.is_some_and(|mount| mount.shared)
    });
    if shared {
        Ok(())
    } else {
        Err(DriverError::NotShared(directory.to_owned()))
    }
}

fn listen(path: &Path) -> Result<tokio_stream::wrappers::UnixListenerStream, DriverError> {
    socket::listen(path).map_err(|error| DriverError::Listen(path.display().to_string(), error))
}

/// Waits for an earlier driver to end: two at once would undo each other's work. The kernel frees
/// the lock of a process that was killed.
async fn lock(state: &Path) -> Result<std::fs::File, DriverError> {
    let path = state.join("lock");
    let failed = |errno| DriverError::Sys(SysError::on("lock", &path)(errno));
    let file = std::fs::File::create(&path)
        .map_err(|error| DriverError::Listen(path.display().to_string(), error))?;
    let taken = tokio::task::spawn_blocking(move || {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            tracing::info!("waiting for the earlier driver to end");
        }
        flock(&file, FlockOperation::LockExclusive).map(|()| file)
    });
    taken.await.unwrap_or(Err(Errno::IO)).map_err(failed)
}

/// Why `mount-nfs` failed.
#[derive(Debug, thiserror::Error)]
pub enum MountNfsError {
    /// An `--allow` that is no CIDR.
    #[error("{0}")]
    Rules(#[from] BadRule),
    /// A private place for `--create` could not be made.
    #[error("{0}")]
    Sys(#[from] SysError),
    /// The mount.
    #[error("{0}")]
    Mount(#[from] NfsError),
}

/// Mounts a share as the driver would, without a driver.
pub fn mount_nfs(args: MountNfsArgs) -> Result<(), MountNfsError> {
    let rules = address_rules(&NetworkRules {
        allow: args.allow,
        ..NetworkRules::default()
    })?;
    let volume = NfsVolume {
        server: args.server,
        share: args.share,
        options: args.options,
        create: args.create,
    };
    let staging = Staging::new(std::env::temp_dir().join("dlf-mount-nfs"))?;
    Ok(nfs::mount(&volume, &args.target, &rules, &staging)?)
}
