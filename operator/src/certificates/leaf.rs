use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SignatureScheme,
    client::ResolvesClientCert,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// The certificate this replica shows, and whom it trusts; replaced while connections go on.
#[derive(Clone, Default)]
pub struct Leaf {
    current: Arc<RwLock<Option<Shown>>>,
}

struct Shown {
    certificate: Arc<CertifiedKey>,
    /// Public certificates of the authority, as PEM.
    bundle: String,
}

impl Leaf {
    /// Shows `certificate` and trusts `bundle` from now on.
    pub(super) fn set(&self, certificate: CertifiedKey, bundle: String) {
        let certificate = Arc::new(certificate);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Shown {
            certificate,
            bundle,
        });
    }

    fn certificate(&self) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|shown| Arc::clone(&shown.certificate))
    }

    /// Whether there is one to show.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.certificate().is_some()
    }

    /// A TLS client that trusts the authority's servers alone and shows them this certificate; none
    /// while there is none.
    #[must_use]
    pub fn client_config(&self) -> Option<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let bundle = &current.as_ref()?.bundle;
        for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()).flatten() {
            // One that is no certificate is none to trust.
            let _ = roots.add(certificate);
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        Some(config.with_client_cert_resolver(Arc::new(self.clone())))
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("is_ready", &self.is_ready())
            .finish()
    }
}

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificate()
    }
}

impl ResolvesClientCert for Leaf {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.certificate()
    }

    fn has_certs(&self) -> bool {
        self.is_ready()
    }
}

/// A TLS server that shows `leaf`, whatever it is at the time, and speaks one of `protocols`.
#[must_use]
pub fn server_config(leaf: &Leaf, protocols: &[&str]) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(leaf.clone()));
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}
