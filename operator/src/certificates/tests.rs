use std::{sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Leaf, authority::Authority, keyring::Keyring, server_config};

const NAME: &str = "dlf-webhook.dlf-system.svc";

/// Whether a client that trusts `bundle` accepts what `leaf` shows under `name`.
async fn accepts(bundle: &str, leaf: &Leaf, name: &'static str) -> bool {
    let _ = default_provider().install_default();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let acceptor = TlsAcceptor::from(server_config(leaf, &["http/1.1"]));
    let (shown, _) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    shown.is_ok()
}

fn names() -> Vec<String> {
    vec![NAME.to_owned()]
}

#[tokio::test]
async fn a_client_trusts_the_bundle_for_our_names_alone() {
    let now = SystemTime::now();
    let keyring = Keyring::generate(now).unwrap();
    let leaf = Leaf::default();
    assert!(!leaf.is_ready());
    assert!(
        !accepts(&keyring.bundle(), &leaf, NAME).await,
        "nothing to show yet"
    );
    leaf.set(keyring.active.issue(&names(), now).unwrap(), String::new());
    assert!(leaf.is_ready());
    assert!(accepts(&keyring.bundle(), &leaf, NAME).await);
    assert!(!accepts(&keyring.bundle(), &leaf, "example.com").await);
    let stranger = Keyring::generate(now).unwrap();
    assert!(!accepts(&stranger.bundle(), &leaf, NAME).await);
}

#[tokio::test]
async fn a_certificate_is_swapped_while_the_bundle_holds_both_authorities() {
    let now = SystemTime::now();
    let (old, new) = (
        Authority::generate(now).unwrap(),
        Authority::generate(now).unwrap(),
    );
    let both = format!("{}{}", old.cert_pem, new.cert_pem);
    let leaf = Leaf::default();
    leaf.set(old.issue(&names(), now).unwrap(), String::new());
    assert!(accepts(&both, &leaf, NAME).await);
    leaf.set(new.issue(&names(), now).unwrap(), String::new());
    assert!(accepts(&both, &leaf, NAME).await);
    assert!(!accepts(&old.cert_pem, &leaf, NAME).await);
}

#[tokio::test]
async fn a_certificate_survives_a_read_from_the_secret_and_a_clock_that_was_ahead() {
    let ahead = SystemTime::now() + std::time::Duration::from_hours(20);
    let keyring = Keyring::generate(ahead).unwrap();
    let kept: Keyring = serde_json::from_str(&serde_json::to_string(&keyring).unwrap()).unwrap();
    let leaf = Leaf::default();
    leaf.set(kept.active.issue(&names(), ahead).unwrap(), String::new());
    assert!(accepts(&kept.bundle(), &leaf, NAME).await);
    assert!(!format!("{keyring:?}").contains("PRIVATE"));
}
