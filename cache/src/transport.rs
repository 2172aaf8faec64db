//! Connections: a pool of HTTP/1.1 connections to one server, made under the address rules.
//!
//! HTTP/1.1 and not 2: a stream of bytes over a connection of its own needs no flow control in user
//! space, and S3 servers speak nothing else.

mod connect;
mod payload;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use dlf_core::network::AddressRules;
use http_body_util::LengthLimitError;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::ErrorKind;
use crate::origin::ConfigError;

use connect::Connector;
pub(crate) use payload::PayloadBody;

/// Connections kept for later: as many as a busy mount has requests, and no more.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// How long they are kept: servers close theirs after a minute or more, and a request that meets
/// such a closing connection costs a retry.
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(20);

/// A pool of connections.
pub(crate) type HttpClient = Client<Connector, PayloadBody>;

/// A pool whose connections obey `rules` and trust `ca_pem` beside the public authorities.
pub(crate) fn client(
    rules: &Arc<AddressRules>,
    ca_pem: Option<&str>,
) -> Result<HttpClient, ConfigError> {
    let connector = Connector::new(Arc::clone(rules), tls::config(ca_pem)?);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_LIFE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build(connector))
}

/// The cause of a failed exchange: what the connector said, or that the connection broke.
pub(crate) fn cause(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(kind) = error.downcast_ref::<ErrorKind>() {
            return kind.clone();
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return ErrorKind::Unreachable(io.kind().to_string());
        }
        if error.is::<LengthLimitError>() {
            return ErrorKind::Protocol("its answer is longer than any of S3");
        }
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            return ErrorKind::Protocol("its answer is not HTTP");
        }
        next = error.source();
    }
    ErrorKind::Unreachable("the connection was closed in the middle of an answer".to_owned())
}
