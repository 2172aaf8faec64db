use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dlf_listen::Listener;
use futures::Stream;
use rustls::ServerConfig;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

/// A handshake takes one round trip; who is slower holds a place that others need.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that have their turn at once: after a change of leader every node comes within seconds,
/// and each handshake costs about a millisecond of CPU.
const HANDSHAKES_MAX: usize = 128;
/// Whoever has not shaken hands by then costs nothing but its place, and lets the next begin.
const TURN: Duration = Duration::from_millis(250);

/// A connection with its handshake done.
type Connection = TlsStream<dlf_listen::Connection>;

/// Connections that come in, each shaking hands by itself, so that a slow one delays nobody.
pub(super) fn incoming(
    listener: Listener,
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
    mut listener: Listener,
    acceptor: TlsAcceptor,
    connections: mpsc::Sender<Result<Connection, std::io::Error>>,
) {
    let turns = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.closed() => return,
        };
        let (acceptor, connections) = (acceptor.clone(), connections.clone());
        tokio::spawn(async move {
            let mut shaking = pin!(timeout(HANDSHAKE_TIMEOUT, handshake(&acceptor, stream)));
            let in_its_turn = timeout(TURN, &mut shaking).await;
            drop(turn);
            let shaken = match in_its_turn {
                Ok(shaken) => shaken,
                Err(_) => shaking.await,
            };
            match shaken {
                Ok(Ok(connection)) => drop(connections.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            }
        });
    }
}

async fn handshake(
    acceptor: &TlsAcceptor,
    stream: dlf_listen::Connection,
) -> std::io::Result<Connection> {
    // Messages are small and somebody waits for each.
    stream.set_nodelay(true)?;
    acceptor.accept(stream).await
}
