//! HTTPS for the API server: HTTP/1.1 with connections that stay open.

use std::{future::ready, io, sync::Arc, time::Duration};

use axum::{Router, middleware::map_response, response::Response};
use http::{HeaderValue, header::CONNECTION};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// API servers keep a handful each.
const CONNECTIONS_MAX: usize = 512;
/// One round trip; who is slower holds a place that others need.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// The API server closes idle connections after 90 s. It has to be the one that does: a request that
/// meets a closing connection fails, and with it somebody's pod.
const IDLE_MAX: Duration = Duration::from_mins(2);
/// Accepting fails when descriptors run out; trying again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests take a second at most, so this ends only what hangs.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// Answers connections until `stop` is done, then finishes the requests under way. Once `leaving` is
/// raised each connection ends with its next answer: one closed while idle might lose a request that
/// the API server is just sending, and it sends none twice.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    leaving: watch::Receiver<bool>,
    stop: impl Future<Output = ()> + Send,
) {
    let router = router.layer(map_response(move |mut response: Response| {
        if *leaving.borrow() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        ready(response)
    }));
    let acceptor = TlsAcceptor::from(tls);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, place)) => {
                let connection = Connection {
                    place,
                    acceptor: acceptor.clone(),
                    router: router.clone(),
                };
                tokio::spawn(connection.run(stream, graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN_DEADLINE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some admission requests were cut off");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// One connection, and its place among those there may be.
struct Connection {
    place: OwnedSemaphorePermit,
    acceptor: TlsAcceptor,
    router: Router,
}

impl Connection {
    async fn run(self, stream: TcpStream, graceful: Watcher) {
        let Self {
            place: _place,
            acceptor,
            router,
        } = self;
        // Answers are small and somebody waits for each.
        let _ = stream.set_nodelay(true);
        let stream = match timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "a handshake failed"),
            Err(_) => return tracing::debug!("a handshake took too long"),
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        if let Err(error) = graceful.watch(connection).await {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
