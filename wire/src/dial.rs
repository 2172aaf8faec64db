//! How a node driver or a worker reaches the operator: every address of its headless Service in
//! turn, until one is the leader.
//!
//! The CA file is read at each connection and the token file at each use, so that a rotated CA and
//! a renewed token need no watching: nothing of either is kept.

mod backoff;
mod error;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::nodes::v1::Token;
use crate::nodes::v1::nodes_client::NodesClient;

pub use backoff::Backoff;
pub use error::DialError;

/// How long TCP and TLS may take. An operator in the same cluster answers within milliseconds, and
/// a dead address must not keep the next one waiting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an operator may take to look at a token and accept the stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// An idle stream is asked for a sign of life this often …
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// … and given up after this long without one: an operator's node may go without a FIN.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the token is to be sent again. The kubelet renews the file at 80 % of its hour; the
/// operator accepts the same token as often as it is valid.
pub const TOKEN_INTERVAL: Duration = Duration::from_mins(5);
/// Addresses tried in one round. The operator has two replicas, and briefly more in an upgrade.
const ADDRESSES_MAX: usize = 16;

/// Where the operator is and how to prove who we are.
#[derive(Clone, Debug)]
pub struct Dialer {
    host: String,
    port: u16,
    server_name: String,
    ca: PathBuf,
    token: PathBuf,
}

impl Dialer {
    /// A dialer for `operator` (`host:port`, where the host is also the certificate's name), a
    /// PEM bundle and a service account token.
    pub fn new(
        operator: &str,
        ca: impl Into<PathBuf>,
        token: impl Into<PathBuf>,
    ) -> Result<Self, DialError> {
        let bad = || DialError::Target(operator.to_owned());
        let (host, port) = operator.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        if host.is_empty() {
            return Err(bad());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            host: host.to_owned(),
            port,
            server_name: host.to_owned(),
            ca: ca.into(),
            token: token.into(),
        })
    }

    /// Expects another name in the operator's certificate than the one that is resolved.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = name.into();
        self
    }

    /// The token as it stands in its file now.
    pub async fn token(&self) -> Result<Token, DialError> {
        let value = read(&self.token).await?;
        Ok(Token {
            value: value.trim().to_owned(),
        })
    }

    /// Opens a stream with `open` at the first address that accepts it.
    ///
    /// When none does, the error is the most telling one: a follower's "not the leader" only if
    /// all said nothing else. Pause with [`Backoff`] before the next round.
    pub async fn open<S, Open, Opening>(&self, open: Open) -> Result<S, DialError>
    where
        Open: Fn(NodesClient<Channel>) -> Opening,
        Opening: Future<Output = Result<S, Status>>,
    {
        let ca = read(&self.ca).await?;
        let mut worst = None;
        for address in self.addresses().await? {
            let opened = match self.connect(address, &ca).await {
                Ok(channel) => opened_within(address, open(NodesClient::new(channel))).await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) if worst.is_some() && error.is_follower() => {}
                Err(error) => worst = Some(error),
            }
        }
        Err(worst.unwrap_or_else(|| DialError::Resolve {
            host: self.host.clone(),
            error: std::io::ErrorKind::NotFound.into(),
        }))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, DialError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found = found.map_err(|error| DialError::Resolve {
            host: self.host.clone(),
            error,
        })?;
        Ok(found.take(ADDRESSES_MAX).collect())
    }

    async fn connect(&self, address: SocketAddr, ca: &str) -> Result<Channel, DialError> {
        let failed = |error: tonic::transport::Error| DialError::Connect {
            address,
            error: with_causes(&error),
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca))
            .domain_name(&self.server_name)
            .timeout(CONNECT_TIMEOUT);
        let endpoint = Endpoint::from_shared(format!("https://{address}")).map_err(failed)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .tls_config(tls)
            .map_err(failed)?;
        endpoint.connect().await.map_err(failed)
    }
}

async fn opened_within<S>(
    address: SocketAddr,
    opening: impl Future<Output = Result<S, Status>>,
) -> Result<S, DialError> {
    let opened = tokio::time::timeout(OPEN_TIMEOUT, opening).await;
    let opened = opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
    opened.map_err(|status| DialError::Refused {
        address,
        status: Box::new(status),
    })
}

async fn read(path: &std::path::Path) -> Result<String, DialError> {
    let text = tokio::fs::read_to_string(path).await;
    text.map_err(|error| DialError::File {
        path: path.to_owned(),
        error,
    })
}

/// Tonic's own words are just "transport error": the cause is what helps.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_a_host_and_a_port() {
        let dialer = |operator| Dialer::new(operator, "ca", "token");
        let found = dialer("dlf-nodes.dlf-system.svc:9444").unwrap();
        assert_eq!(
            (found.host.as_str(), found.port),
            ("dlf-nodes.dlf-system.svc", 9444)
        );
        assert_eq!(found.server_name, "dlf-nodes.dlf-system.svc");
        assert_eq!(dialer("[::1]:9444").unwrap().host, "::1");
        for wrong in ["dlf-nodes", "dlf-nodes:", ":9444", "dlf-nodes:grpc"] {
            assert!(
                matches!(dialer(wrong), Err(DialError::Target(_))),
                "{wrong}"
            );
        }
    }
}
