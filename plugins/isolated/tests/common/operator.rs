//! `dlf-plugin-host` as a pod runs it, and the operator's way to it.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command},
    sync::Arc,
};

use async_trait::async_trait;
use dlf_plugin_host::carrier::socket::{Connect, Stream};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::HOST;

const NAME: &str = "dlf-plugin-acme.dlf-system.svc";

/// A certificate and its key, both PEM.
pub(crate) struct Leaf {
    certificate: String,
    key: String,
}

pub(crate) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }

    pub(crate) fn leaf(&self, purpose: ExtendedKeyUsagePurpose) -> Leaf {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf {
            certificate,
            key: key.serialize_pem(),
        }
    }
}

/// The program with a plugin, ended with the test.
pub(crate) struct Host(Child, SocketAddr);

impl Host {
    /// Runs `plugin`: `--library FILE`, or `--`, a program and its arguments.
    pub(crate) fn start(authority: &Authority, directory: &Path, plugin: &[&str]) -> Self {
        let own = authority.leaf(ExtendedKeyUsagePurpose::ServerAuth);
        for (file, text) in [
            ("ca.crt", &authority.certificate),
            ("tls.crt", &own.certificate),
            ("tls.key", &own.key),
        ] {
            fs::write(directory.join(file), text).unwrap();
        }
        // Below the ports that the kernel takes for connections: one of these may be taken before the
        // program listens.
        let ports = 20_000..30_000_u16;
        let mut addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let free = addresses.find(|address| TcpListener::bind(address).is_ok());
        let free = free.unwrap();
        let child = Command::new(HOST)
            .args(["--listen", &free.to_string(), "--tls"])
            .arg(directory)
            .args(plugin)
            .spawn()
            .unwrap();
        Self(child, free)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A way in with the certificate of `shown`, or with none.
pub(crate) struct Tls {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn new(host: &Host, trusted: &Authority, shown: Option<&Leaf>) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap();
        roots.add(authority).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match shown {
            None => config.with_no_client_auth(),
            Some(leaf) => {
                let chain = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        Self {
            address: host.1,
            config: Arc::new(config),
        }
    }
}

#[async_trait]
impl Connect for Tls {
    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let name = ServerName::try_from(NAME).unwrap();
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| error.to_string())?))
    }
}
