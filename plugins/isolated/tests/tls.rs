//! Over mutual TLS only the operator is answered.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use dlf_plugin_host::carrier::{Remote, Socket};
use rcgen::ExtendedKeyUsagePurpose;

use self::common::{
    example,
    operator::{Authority, Host, Tls},
};

/// Whether the plugin says who it is to whoever comes this way.
async fn is_answered(way: Tls) -> bool {
    Remote::meet(Arc::new(Socket::new(way))).await.is_ok()
}

#[tokio::test]
async fn only_who_has_a_clients_certificate_of_the_authority_is_answered() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (authority, other) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    let host = Host::start(
        &authority,
        directory.path(),
        &["--library", example("proxy").to_str().unwrap()],
    );
    let operator = authority.leaf(ExtendedKeyUsagePurpose::ClientAuth);
    let mut tries = 0;
    while !is_answered(Tls::new(&host, &authority, Some(&operator))).await {
        tries += 1;
        assert!(tries < 100, "it does not answer the operator");
        tokio::time::sleep(Duration::from_millis(50)).await; // it is starting
    }
    let plugin = authority.leaf(ExtendedKeyUsagePurpose::ServerAuth);
    let stranger = other.leaf(ExtendedKeyUsagePurpose::ClientAuth);
    for (who, shown) in [
        ("nobody", None),
        ("another plugin", Some(&plugin)),
        ("a stranger", Some(&stranger)),
    ] {
        assert!(
            !is_answered(Tls::new(&host, &authority, shown)).await,
            "{who}"
        );
    }
    assert!(is_answered(Tls::new(&host, &authority, Some(&operator))).await);
}
