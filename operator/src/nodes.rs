//! The operator's side of the streams: one per node, which brings datasets to mounts, and one per
//! worker, which brings tasks to sources.
//!
//! [`registry`] is the index behind the nodes' streams and [`Hub`] the way to it for controllers;
//! [`identity`] says who is calling, [`Handshakes`] how many may ask that, and [`authorise`] what a pod
//! may have; [`serve`] runs it all.

pub mod authorise;
mod handshakes;
mod hub;
pub mod identity;
mod limits;
mod made;
mod refusal;
pub mod registry;
mod service;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use dlf_listen::{Limits, Listener};
use dlf_wire::nodes::v1::nodes_server::NodesServer;
use rustls::ServerConfig;
use tokio::sync::watch;
use tonic::transport::Server;

use crate::tasks::Tasks;
use authorise::FindPod;
use identity::Identify;
use service::Service;

pub use handshakes::Handshakes;
pub use hub::Hub;
pub use made::TellPod;

/// An idle stream is asked for a sign of life this often …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// … and ended after this long without one: a node may vanish without a FIN.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest message from a node: 4096 mounts with their pods' names are below 2 MiB.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Connections at once: one of each node and worker, of which a large cluster has 5,000, and those of before
/// that have not been missed yet. Behind a gateway that hides them many have one address.
pub const CONNECTIONS_MAX: Limits = Limits {
    all: 16 * 1024,
    of_address: 1024,
};
/// Streams of one connection: each of our programs has one, and opens it anew when it ends.
const STREAMS_MAX: u32 = 4;

/// What the streams need of the rest of the operator.
#[derive(Clone)]
pub struct Dependencies {
    /// What nodes are told and tell.
    pub hub: Arc<Hub>,
    /// What workers do.
    pub tasks: Arc<Tasks>,
    /// Who a token belongs to.
    pub identify: Arc<dyn Identify>,
    /// Who is not known yet.
    pub handshakes: Arc<Handshakes>,
    /// Where pods are found.
    pub pods: Arc<dyn FindPod>,
    /// Where pods are told something.
    pub tell: Arc<dyn TellPod>,
    /// Whether this replica leads. When it does no longer, all streams end; what they brought is
    /// forgotten by who laid down the leader's duties.
    pub leading: watch::Receiver<bool>,
}

/// Serves the streams over TLS on `listener` until `shutdown` resolves.
///
/// # Errors
/// When the server ends for another reason.
pub async fn serve(
    listener: Listener,
    tls: Arc<ServerConfig>,
    dependencies: Dependencies,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
    let (serving, streams_serve) = watch::channel(false);
    let service = Service::new(&dependencies, streams_serve);
    let nodes = NodesServer::new(service).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .max_concurrent_streams(Some(STREAMS_MAX))
        .add_service(nodes)
        .serve_with_incoming_shutdown(
            tls::incoming(listener, &tls),
            follow(dependencies.clone(), serving, shutdown),
        );
    tokio::select! {
        ended = server => ended,
        () = dependencies.tasks.keep_deadlines() => Ok(()),
    }
}

/// Opens the streams while this replica leads and is not shutting down; returns when it is.
async fn follow(
    mut dependencies: Dependencies,
    serving: watch::Sender<bool>,
    shutdown: impl Future<Output = ()>,
) {
    tokio::pin!(shutdown);
    loop {
        let leads = *dependencies.leading.borrow_and_update();
        serving.send_replace(leads);
        tokio::select! {
            changed = dependencies.leading.changed() => if changed.is_err() { break },
            () = &mut shutdown => break,
        }
    }
    // Streams have no end of their own, and the server waits for theirs.
    serving.send_replace(false);
}
