//! Listens for the node driver and runs a child per mount.

mod children;
mod driver;
mod memory;
mod place;
mod pool;
mod process;
mod questions;
mod refusal;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dlf_wire::channel::{ChannelError, Listener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::children::Children;

/// Drivers connected at once: one, and briefly two while it is replaced. The rest is slack for
/// connections whose end has not been noticed yet.
const DRIVERS_MAX: usize = 4;

/// Name of the socket in its directory.
const SOCKET: &str = "m.sock";

/// After a failed accept (no descriptors left) we wait, lest we spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How a mounter is set up.
#[derive(Clone, Debug)]
pub struct MounterOptions {
    /// Directory of the socket. It is made 0700: only root gets to the socket.
    pub socket_dir: PathBuf,
    /// The node's directory of datasets' directories, in which the driver makes one for each. It is
    /// made 0711: a child gets to its own and sees no other.
    pub staging_dir: PathBuf,
    /// What the driver knows this mounter by.
    pub revision: String,
}

/// Why a mounter could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MounterError {
    /// The directory or socket could not be set up.
    #[error("{path}: {source}")]
    Setup {
        /// What could not be set up.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket failed.
    #[error("the socket: {0}")]
    Channel(#[from] ChannelError),
    /// The process could not be set up.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Serves drivers until SIGTERM, then stops all children.
///
/// One thread: it only passes messages, and children ask to be killed when the thread that started
/// them ends.
pub fn run(options: MounterOptions) -> Result<(), MounterError> {
    // Keys pass through this process.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(io::Error::from)?;
    // What a child leaves behind comes to us, whether or not we are the first of a container.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(io::Error::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: MounterOptions) -> Result<(), MounterError> {
    prepare(&options.socket_dir, 0o700)?;
    if options.staging_dir.is_dir() {
        prepare(&options.staging_dir, 0o711)?;
    }
    let listener = Listener::bind(&options.socket_dir.join(SOCKET))?;
    let children = Arc::new(Children::new(std::env::current_exe()?, options));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!("listening");
    tokio::select! {
        () = accept(&listener, &children) => {}
        () = children.share_memory() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping all mounts");
    children.stop_all().await;
    Ok(())
}

fn prepare(directory: &PathBuf, mode: u32) -> Result<(), MounterError> {
    let failed = |source| MounterError::Setup {
        path: directory.clone(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(directory, permissions).map_err(failed)
}

/// Ends the connections when it is dropped: a driver that knows of our end looks for another
/// mounter at once.
async fn accept(listener: &Listener, children: &Arc<Children>) {
    let places = Arc::new(Semaphore::new(DRIVERS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let channel = match listener.accept().await {
            Ok(channel) => channel,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match channel.peer_cred() {
            Ok(peer) if peer.uid == 0 => {}
            peer => {
                tracing::warn!(?peer, "a connection that is not root's was refused");
                continue;
            }
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!("more drivers than {DRIVERS_MAX} at once: one was refused");
            continue;
        };
        let children = children.clone();
        connections.spawn(async move {
            driver::serve(channel, children).await;
            drop(place);
        });
    }
}
