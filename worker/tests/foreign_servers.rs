//! Probes of what is neither an S3 nor an NFS server. Such servers listen on loopback, which the
//! rules of these tasks allow.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlf_wire::dataset::v1::{NetworkRules, Origin};
use dlf_wire::nodes::v1::{Failure, ProbeNfs, ProbeObjectStore, Task, task};
use dlf_worker::task::run;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn failed(kind: task::Kind) -> Failure {
    let task = Task {
        kind: Some(kind),
        network: Some(NetworkRules {
            allow: vec!["127.0.0.0/8".into(), "::1/128".into()],
            ..NetworkRules::default()
        }),
        deadline_ms: 12_000,
        ..Task::default()
    };
    run(task, &|_| {}).await.unwrap_err()
}

async fn failed_nfs(server: String) -> Failure {
    let share = "/share".to_owned();
    failed(task::Kind::ProbeNfs(ProbeNfs { server, share })).await
}

/// A server that says something to everybody, and then nothing more.
async fn foreign_server(greeting: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let greet = |mut client: TcpStream, greeting: Vec<u8>| async move {
        client.write_all(&greeting).await?;
        let mut void = [0; 4096];
        while client.read(&mut void).await? > 0 {}
        std::io::Result::Ok(())
    };
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            // Who asked may have gone.
            let greeting = greeting.clone();
            tokio::spawn(async move { drop(greet(client, greeting).await) });
        }
    });
    address
}

#[tokio::test]
async fn what_answers_in_another_language_is_not_nfs() {
    let record = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap() | 1 << 31;
        [&length.to_be_bytes(), bytes].concat()
    };
    for greeting in [
        b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0; 4 * 1024],
        record(b""),
        record(&[0xff; 64]),
        record(&[0; 64]),
    ] {
        let server = foreign_server(greeting.clone()).await.to_string();
        let failure = failed_nfs(server).await;
        assert_eq!(failure.reason, "NotNfs", "{greeting:?}: {failure:?}");
    }
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_named_in_time() {
    let begun = Instant::now();
    let silent = foreign_server(Vec::new()).await;
    let origin = Origin {
        endpoint: format!("http://{silent}"),
        bucket: "some-bucket".into(),
        ..Origin::default()
    };
    let origin = Some(origin);
    let (nfs, store) = tokio::join!(
        failed_nfs(silent.to_string()),
        failed(task::Kind::ProbeObjectStore(ProbeObjectStore {
            origin,
            writes: false
        }))
    );
    assert_eq!(
        (&*nfs.reason, &*store.reason),
        ("Unreachable", "Unreachable")
    );
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn every_address_of_an_nfs_server_is_tried() {
    // On IPv4 alone, while `localhost` stands for both.
    let port = foreign_server(record_of_another_protocol()).await.port();
    let failure = failed_nfs(format!("localhost:{port}")).await;
    assert_eq!(failure.reason, "NotNfs", "{failure:?}");
}

fn record_of_another_protocol() -> Vec<u8> {
    b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()
}

/// As `openssl req -x509` makes it, for a server that is its own authority.
#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_explained() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        // The client will not like what it sees.
        drop(server.complete_io(&mut client));
    });
    let origin = Origin {
        endpoint: format!("https://{address}"),
        bucket: "some-bucket".into(),
        ca_pem: certificate.pem(),
        ..Origin::default()
    };
    let origin = Some(origin);
    let failure = failed(task::Kind::ProbeObjectStore(ProbeObjectStore {
        origin,
        writes: false,
    }))
    .await;
    assert_eq!(failure.reason, "TlsFailed", "{failure:?}");
    assert!(failure.message.contains("CA:TRUE"), "{failure:?}");
}
