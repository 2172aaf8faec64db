//! A prefix of the test bucket, seen from outside the mount.

mod conditions;

use std::sync::Arc;

use bytes::Bytes;
use dlf_cache::{
    ClientOptions, ErrorKind, Keys, ListRequest, ObjectStore, Origin, PutCondition, StoreError,
};
use dlf_core::network::AddressRules;
use dlf_wire::dataset::v1 as wire;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Runtime;

use super::Server;

/// All tests share one bucket: some servers take seconds to make one.
pub const BUCKET: &str = "dlf-mount-tests";

/// Objects put at once where there are many: hides the server's latency.
const PUTS_AT_ONCE: usize = 16;

/// Objects below a prefix that is the test's alone.
pub struct Bucket {
    pub server: Server,
    name: &'static str,
    pub prefix: String,
    store: ObjectStore,
    runtime: Arc<Runtime>,
}

impl Bucket {
    /// An empty prefix named after the test.
    pub fn new(server: &Server, test: &str) -> Self {
        Self::named(server, BUCKET, test)
    }

    /// The same, of another bucket.
    pub fn named(server: &Server, name: &'static str, test: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // The test binary may hold several of these; only the first can install it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = format!("{test}-{}/", std::process::id());
        let bucket = Self::at(server.clone(), name, prefix, Arc::new(runtime));
        let created = bucket.store.create_bucket();
        bucket.runtime.block_on(created).unwrap();
        bucket.clear();
        bucket
    }

    /// A prefix below this one.
    pub fn below(&self, name: &str) -> Self {
        let prefix = format!("{}{name}", self.prefix);
        let (server, runtime) = (self.server.clone(), self.runtime.clone());
        Self::at(server, self.name, prefix, runtime)
    }

    fn at(server: Server, name: &'static str, prefix: String, runtime: Arc<Runtime>) -> Self {
        let origin = Origin {
            endpoint: server.endpoint.parse().unwrap(),
            bucket: name.to_owned(),
            prefix: prefix.clone(),
            region: String::new(),
            keys: Some(Keys {
                access_key_id: server.key.clone(),
                secret_access_key: server.secret.clone(),
                session_token: None,
            }),
            ca_pem: None,
            shards: None,
        };
        let options = ClientOptions {
            rules: AddressRules {
                allow: vec!["0.0.0.0/0".parse().unwrap()],
                ..AddressRules::default()
            },
            ..ClientOptions::default()
        };
        let store = {
            let _inside = runtime.enter();
            ObjectStore::new(vec![origin], options).unwrap()
        };
        Self {
            server,
            name,
            prefix,
            store,
            runtime,
        }
    }

    pub fn put(&self, key: &str, body: impl Into<Bytes>) {
        self.try_put(key, body).unwrap();
    }

    /// Not every server takes every key: some keep objects as files.
    pub fn try_put(&self, key: &str, body: impl Into<Bytes>) -> Result<(), StoreError> {
        let body: Bytes = body.into();
        let put = self.store.put(key, body, PutCondition::None);
        self.runtime.block_on(put).map(drop)
    }

    /// Puts the same body at all of these keys.
    pub fn put_all(&self, keys: impl IntoIterator<Item = String>, body: &'static str) {
        let put = |key: String| async move {
            let condition = PutCondition::None;
            self.store.put(&key, Bytes::from(body), condition).await
        };
        let puts = stream::iter(keys).map(put).buffer_unordered(PUTS_AT_ONCE);
        let puts = puts.try_for_each(|_| async { Ok(()) });
        self.runtime.block_on(puts).unwrap();
    }

    /// Makes an object of `times` copies of another, within the server.
    pub fn repeat(&self, key: &str, of: &str, times: u16) {
        self.runtime.block_on(async {
            let meta = self.store.head(of).await.unwrap();
            let upload = self.store.start_multipart(key).await.unwrap();
            let mut parts = Vec::new();
            for number in 1..=times {
                let part = self.store.copy_part(&meta, 0..meta.size, &upload, number);
                parts.push(part.await.unwrap());
            }
            let completed = self.store.complete(&upload, &parts, PutCondition::None);
            completed.await.unwrap();
        });
    }

    pub fn size(&self, key: &str) -> u64 {
        self.runtime.block_on(self.store.head(key)).unwrap().size
    }

    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.runtime.block_on(async {
            loop {
                let meta = self.store.head(key).await.ok()?;
                if meta.size == 0 {
                    return Some(Bytes::new());
                }
                let version = Some(&meta.etag);
                match self.store.get_range(key, 0..u64::MAX, version).await {
                    Ok(body) => return Some(body.collect().await.unwrap()),
                    // Replaced since then, by somebody who does that once.
                    Err(error) if *error.kind() == ErrorKind::PreconditionFailed => {}
                    Err(error) if *error.kind() == ErrorKind::NotFound => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    }

    /// The object's bytes as text; `None` where there is none.
    pub fn text(&self, key: &str) -> Option<String> {
        let body = self.get(key)?;
        Some(String::from_utf8_lossy(&body).into_owned())
    }

    pub fn delete(&self, key: &str) {
        self.runtime.block_on(self.store.delete(key)).unwrap();
    }

    pub fn keys(&self) -> Vec<String> {
        self.runtime.block_on(async {
            let (mut keys, mut request) = (Vec::new(), ListRequest::default());
            loop {
                let page = self.store.list(&request).await.unwrap();
                keys.extend(page.objects.into_iter().map(|object| object.key));
                request.continuation = page.next;
                if request.continuation.is_none() {
                    return keys;
                }
            }
        })
    }

    pub fn clear(&self) {
        let keys = self.keys();
        if !keys.is_empty() {
            let failures = self.runtime.block_on(self.store.delete_many(&keys));
            assert!(failures.unwrap().is_empty());
        }
    }

    /// A directory of a mount that shows what is here below `prefix`.
    pub fn root(&self, prefix: &str, path: &str) -> wire::Root {
        wire::Root {
            path: path.to_owned(),
            bucket: self.name.to_owned(),
            prefix: format!("{}{prefix}", self.prefix),
        }
    }

    /// What a mount is told of this bucket.
    pub fn origin(&self) -> wire::Origin {
        wire::Origin {
            endpoint: self.server.endpoint.clone(),
            bucket: self.name.to_owned(),
            prefix: self.prefix.clone(),
            keys: Some(wire::Keys {
                access_key_id: self.server.key.clone(),
                secret_access_key: self.server.secret.clone(),
                session_token: String::new(),
            }),
            ..wire::Origin::default()
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.clear();
        }
    }
}
