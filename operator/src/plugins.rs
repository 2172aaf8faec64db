//! The way to isolated plugins: TLS in both directions, by the installation's own authority.

use std::sync::Arc;

use async_trait::async_trait;
use dlf_plugin_host::{
    Connectors,
    carrier::socket::{Connect, Stream},
    config::Address,
};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificates::Leaf;

/// Reaches plugins with this replica's certificate.
pub struct PluginConnectors {
    leaf: Leaf,
}

impl PluginConnectors {
    /// With the certificate that `leaf` shows at the time.
    #[must_use]
    pub const fn new(leaf: Leaf) -> Self {
        Self { leaf }
    }
}

impl Connectors for PluginConnectors {
    fn isolated(&self, address: Address) -> Box<dyn Connect> {
        Box::new(Isolated {
            leaf: self.leaf.clone(),
            address,
        })
    }
}

struct Isolated {
    leaf: Leaf,
    address: Address,
}

#[async_trait]
impl Connect for Isolated {
    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let Address { host, port } = &self.address;
        let at = |error: &dyn std::fmt::Display| format!("{host}:{port}: {error}");
        let config = self.leaf.client_config();
        let config = config.ok_or("this replica has no certificate to show yet")?;
        let name = ServerName::try_from(host.clone()).map_err(|error| at(&error))?;
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(|error| at(&error))?;
        stream.set_nodelay(true).map_err(|error| at(&error))?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| at(&error))?))
    }
}
