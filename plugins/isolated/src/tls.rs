use std::{error::Error, fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use dlf_listen::{Limits, Listener};
use dlf_plugin_host::carrier::{Channel, serve};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

/// A handshake takes one round trip.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Both replicas of an operator, and both of the next during an upgrade, with room to spare: seen from
/// behind a gateway they may have one address.
const CONNECTIONS_MAX: Limits = Limits {
    all: 256,
    of_address: 16,
};

/// Answers who shows a certificate of the authority in `directory`. The files are read for each
/// connection: they change while this runs.
pub(crate) async fn answer(
    listen: SocketAddr,
    directory: &Path,
    channel: Arc<dyn Channel>,
) -> Result<(), Box<dyn Error>> {
    let _ = config(directory)?; // what is wrong with the files is said at the start
    let mut listener = Listener::bind(listen, CONNECTIONS_MAX).await?;
    loop {
        let (stream, peer) = listener.accept().await;
        // Answers are small and somebody waits for each.
        let _ = stream.set_nodelay(true);
        let acceptor = match config(directory) {
            Ok(config) => TlsAcceptor::from(Arc::new(config)),
            Err(error) => {
                warn!(%error, "the certificate cannot be read");
                continue;
            }
        };
        let channel = Arc::clone(&channel);
        tokio::spawn(async move {
            match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let ended = serve(stream, channel).await;
                    debug!(%peer, ?ended, "a connection ended");
                }
                // A probe that only connects is one of these.
                Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => debug!(%peer, "TLS handshake took too long"),
            }
        });
    }
}

fn config(directory: &Path) -> Result<ServerConfig, Box<dyn Error>> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read("ca.crt")?) {
        roots.add(certificate?)?;
    }
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read("tls.crt")?).collect();
    let key = PrivateKeyDer::from_pem_slice(&read("tls.key")?)?;
    Ok(ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain?, key)?)
}
