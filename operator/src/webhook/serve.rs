//! HTTPS for the API server: HTTP/1.1 with connections that stay open.

use std::{future::ready, sync::Arc, time::Duration};

use axum::{Router, middleware::map_response, response::Response};
use dlf_listen::{Limits, Listener};
use http::{HeaderValue, header::CONNECTION};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{sync::watch, time::timeout};
use tokio_rustls::TlsAcceptor;

/// Connections at once. An API server opens one for each request under way, of which it has at most 200 that
/// write (`--max-mutating-requests-inflight`), and keeps a handful. Several can come through one gateway.
pub const CONNECTIONS_MAX: Limits = Limits {
    all: 2048,
    of_address: 1024,
};
/// One round trip; who is slower holds a place that others need.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// The API server closes idle connections after 90 s. It has to be the one that does: a request that
/// meets a closing connection fails, and with it somebody's pod.
const IDLE_MAX: Duration = Duration::from_mins(2);
/// Requests take a second at most, so this ends only what hangs.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// Answers connections until `stop` is done, then finishes the requests under way. Once `leaving` is
/// raised each connection ends with its next answer: one closed while idle might lose a request that
/// the API server is just sending, and it sends none twice.
pub async fn serve(
    mut listener: Listener,
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
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(answer(stream, acceptor, router, graceful.watcher()));
    }
    drop(listener);
    if timeout(DRAIN_DEADLINE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some admission requests were cut off");
    }
}

async fn answer(
    stream: dlf_listen::Connection,
    acceptor: TlsAcceptor,
    router: Router,
    graceful: Watcher,
) {
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
