use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

/// A handshake takes one round trip; who is slower holds a place that others need.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way at once: after a change of leader every node comes within seconds, and each
/// handshake costs about a millisecond of CPU.
const HANDSHAKES_MAX: usize = 128;
/// Accepting fails when descriptors run out; trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection with its handshake done.
type Connection = TlsStream<TcpStream>;

/// Connections that come in, each shaking hands by itself, so that a slow one delays nobody.
pub(super) fn incoming(
    listener: TcpListener,
    config: &ServerConfig,
) -> impl Stream<Item = Result<Connection, std::io::Error>> + use<> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (connections, accepted) = mpsc::channel(HANDSHAKES_MAX);
    tokio::spawn(accept(listener, acceptor, connections));
    ReceiverStream::new(accepted)
}

/// Runs until nobody takes the connections any more.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    connections: mpsc::Sender<Result<Connection, std::io::Error>>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.closed() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, connections) = (acceptor.clone(), connections.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_TIMEOUT, handshake(&acceptor, stream)).await {
                Ok(Ok(connection)) => drop(connections.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            }
            drop(place);
        });
    }
}

async fn handshake(acceptor: &TlsAcceptor, stream: TcpStream) -> std::io::Result<Connection> {
    // Messages are small and somebody waits for each.
    stream.set_nodelay(true)?;
    acceptor.accept(stream).await
}
