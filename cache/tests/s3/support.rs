//! Where the server is, and stores to test with.

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dlf_cache::{ClientOptions, Keys, ListRequest, ObjectStore, Origin};
use dlf_core::network::AddressRules;
use dlf_tests::settings;

/// One bucket for all tests, each beneath a prefix of its own: a bucket costs some servers volumes.
const BUCKET: &str = "dlf-cache-tests";

fn host_and_port(endpoint: &str) -> SocketAddr {
    let authority = endpoint.split_once("://").unwrap().1;
    authority.to_socket_addrs().unwrap().next().unwrap()
}

pub(crate) fn available() -> bool {
    settings().find("S3_ENDPOINT").is_some()
}

/// Returns from the test, saying so, if there is no server.
macro_rules! need_server {
    ($test:literal) => {
        if !crate::support::available() {
            println!("SKIPPED {}: no S3 server (make cluster)", $test);
            return;
        }
    };
}

pub(crate) fn variable(name: &str) -> String {
    settings().get(name)
}

/// The socket of the server that takes http.
pub(crate) fn server() -> SocketAddr {
    host_and_port(&variable("S3_ENDPOINT"))
}

pub(crate) fn keys() -> Keys {
    Keys {
        access_key_id: variable("S3_KEY"),
        secret_access_key: variable("S3_SECRET"),
        session_token: None,
    }
}

/// An origin of the test's own, empty as long as nobody writes to it.
pub(crate) fn origin() -> Origin {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Origin {
        endpoint: variable("S3_ENDPOINT").parse().unwrap(),
        bucket: BUCKET.to_owned(),
        prefix: format!("{}-{number}/a b/", std::process::id()),
        region: String::new(),
        keys: Some(keys()),
        ca_pem: None,
        shards: None,
    }
}

/// Options under which the proxies on loopback may be dialled.
pub(crate) fn options() -> ClientOptions {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    ClientOptions {
        source_timeout: Duration::from_secs(20),
        rules: AddressRules {
            allow,
            ..AddressRules::default()
        },
        ..ClientOptions::default()
    }
}

/// A store for `origin`, whose bucket is there.
pub(crate) async fn store_of(origin: Origin) -> ObjectStore {
    let direct = Origin {
        endpoint: variable("S3_ENDPOINT").parse().unwrap(),
        ..origin.clone()
    };
    let direct = ObjectStore::new(vec![direct], options()).unwrap();
    if !direct.bucket_exists().await.unwrap() {
        direct.create_bucket().await.unwrap();
    }
    ObjectStore::new(vec![origin], options()).unwrap()
}

pub(crate) async fn store() -> ObjectStore {
    store_of(origin()).await
}

/// What the client itself never asks for: a signed request for `path`, and its answer.
pub(crate) fn curl(path: &str, arguments: &[&str]) -> String {
    let keys = format!("{}:{}", variable("S3_KEY"), variable("S3_SECRET"));
    let asked = Command::new("curl")
        .args(["-sS", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3"])
        .args(["--user", &keys])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(arguments)
        .arg(format!("{}/{path}", variable("S3_ENDPOINT")))
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
    String::from_utf8(asked.stdout).unwrap()
}

/// Has the bucket keep versions from now on.
pub(crate) fn keep_versions(bucket: &str) {
    let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let path = format!("{bucket}?versioning=");
    curl(&path, &["-X", "PUT", "--data", body]);
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut words = Vec::with_capacity(length + 8);
    while words.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        words.extend_from_slice(&state.to_be_bytes());
    }
    words.truncate(length);
    Bytes::from(words)
}

/// The object as it is now.
pub(crate) async fn read(store: &ObjectStore, key: &str) -> Bytes {
    let body = store.get_range(key, 0..u64::MAX, None).await.unwrap();
    body.collect().await.unwrap()
}

/// Every key of the store.
pub(crate) async fn keys_of(store: &ObjectStore) -> Vec<String> {
    let mut request = ListRequest::default();
    let mut keys = Vec::new();
    loop {
        let page = store.list(&request).await.unwrap();
        keys.extend(page.objects.into_iter().map(|object| object.key));
        match page.next {
            None => return keys,
            next => request.continuation = next,
        }
    }
}

/// Leaves nothing behind.
pub(crate) async fn clean(store: &ObjectStore) {
    let keys = keys_of(store).await;
    assert_eq!(store.delete_many(&keys).await.unwrap(), []);
    assert_eq!(keys_of(store).await, Vec::<String>::new());
}
