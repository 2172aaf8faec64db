//! From a URL to a connection: resolve, judge every address, dial, shake hands.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dlf_core::network::AddressRules;
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::tls;
use crate::error::ErrorKind;

/// How long a name's resolution, one address and the TLS handshake may take each. A black hole is
/// to be named within 30 s, whatever it swallows.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// How many addresses of a name are tried: two stacks of a small cluster.
const ADDRESSES_MAX: usize = 4;

/// Dials what the address rules permit.
#[derive(Clone)]
pub(crate) struct Connector {
    rules: Arc<AddressRules>,
    tls: TlsConnector,
}

impl Connector {
    pub(super) fn new(rules: Arc<AddressRules>, tls: Arc<ClientConfig>) -> Self {
        Self {
            rules,
            tls: tls.into(),
        }
    }

    async fn connect(self, uri: Uri) -> Result<Stream, ErrorKind> {
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        let bracketed = uri.host().unwrap_or_default();
        let host = bracketed.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let tcp = dial(&self.resolve(host, port).await?).await?;
        if !https {
            return Ok(MaybeHttpsStream::Http(TokioIo::new(tcp)));
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ErrorKind::TlsFailed("its name is not one a certificate can hold"))?;
        let stream = TokioIo::new(TokioIo::new(tcp));
        let handshake = timeout(STEP_TIMEOUT, self.tls.connect(name, stream)).await;
        let stream = handshake
            .map_err(|_| ErrorKind::Timeout)?
            .map_err(|error| tls::failure(&error))?;
        Ok(MaybeHttpsStream::Https(TokioIo::new(stream)))
    }

    /// The addresses of `host` that may be dialled; at least one.
    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ErrorKind> {
        let unknown = || ErrorKind::Unreachable(format!("{host} has no address"));
        let addresses = timeout(STEP_TIMEOUT, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| ErrorKind::Unreachable(format!("{host} is not resolved in time")))?
            .map_err(|_| unknown())?;
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in addresses {
            match self.rules.check(address) {
                Ok(()) if allowed.len() < ADDRESSES_MAX => allowed.push(address),
                Ok(()) => {}
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(refusal) => Err(ErrorKind::AddressNotAllowed {
                host: host.to_owned(),
                refusal,
            }),
            None => Err(unknown()),
        }
    }
}

/// A connection, with or without TLS.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The first address that takes the connection, else the failure of the last.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, ErrorKind> {
    let mut failure = ErrorKind::Timeout;
    for address in addresses {
        failure = match timeout(STEP_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are written whole; waiting to fill a packet only delays them.
                if stream.set_nodelay(true).is_err() {
                    tracing::debug!(%address, "TCP_NODELAY cannot be set");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => ErrorKind::Unreachable(error.kind().to_string()),
            Err(_) => ErrorKind::Timeout,
        };
    }
    Err(failure)
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ErrorKind;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ErrorKind>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ErrorKind>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
