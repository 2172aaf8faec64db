//! What the operator writes to the API server, counted where every request passes: nobody can
//! forget to count.

use std::task::{Context, Poll};

use http::{Method, Request};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tower::{Layer, Service};

use crate::metrics::Catalog;

/// Writes by verb and resource. Both come from our own code: no user can add one.
#[derive(Clone, Debug, Default)]
pub struct Writes(Family<Write, Counter>);

/// A kind of write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    verb: &'static str,
    resource: String,
}

impl Writes {
    /// New ones, entered in the catalog.
    #[must_use]
    pub fn new(catalog: &mut Catalog) -> Self {
        let writes = Self::default();
        catalog.counter(
            "dlf_api_writes",
            "Requests to the API server that write, by verb and resource (`datasets/status` is a subresource)",
            &["verb", "resource"],
            writes.0.clone(),
        );
        writes
    }

    /// A client of the cluster this process is in, or of the kubeconfig it finds, that counts.
    ///
    /// # Errors
    /// When there is no way to an API server.
    pub async fn client(&self) -> kube::Result<Client> {
        let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
        Ok(ClientBuilder::try_from(config)?.with_layer(self).build())
    }

    fn count<B>(&self, request: &Request<B>) {
        if let Some(verb) = verb(request.method()) {
            let resource = resource(request.uri().path());
            self.0.get_or_create(&Write { verb, resource }).inc();
        }
    }
}

impl<S> Layer<S> for Writes {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            writes: self.clone(),
            inner,
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    writes: Writes,
    inner: S,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.writes.count(&request);
        self.inner.call(request)
    }
}

/// As roles name them; none for what only reads.
fn verb(method: &Method) -> Option<&'static str> {
    match *method {
        Method::POST => Some("create"),
        Method::PUT => Some("update"),
        Method::PATCH => Some("patch"),
        Method::DELETE => Some("delete"),
        _ => None,
    }
}

/// The resource of a path, with its subresource: neither namespace nor name.
fn resource(path: &str) -> String {
    let mut parts = path.trim_matches('/').split('/');
    // `/api/VERSION` or `/apis/GROUP/VERSION`
    let prefix = if parts.next() == Some("api") { 1 } else { 2 };
    let mut rest: Vec<&str> = parts.skip(prefix).collect();
    if rest.len() > 2 && rest[0] == "namespaces" {
        rest.drain(..2);
    }
    match rest[..] {
        [resource, _, sub, ..] => format!("{resource}/{sub}"),
        [resource, ..] => resource.to_owned(),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_resource_and_neither_namespace_nor_name() {
        for (path, expected) in [
            ("/api/v1/namespaces/ns/secrets/books", "secrets"),
            ("/api/v1/namespaces/ns/secrets", "secrets"),
            ("/api/v1/persistentvolumes/dlf-1", "persistentvolumes"),
            ("/api/v1/namespaces/ns", "namespaces"),
            (
                "/apis/com.ie.ibm.hpsys/v1alpha1/namespaces/ns/datasets/books/status",
                "datasets/status",
            ),
            (
                "/apis/authentication.k8s.io/v1/tokenreviews",
                "tokenreviews",
            ),
            ("/", ""),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn writes_are_counted_and_reads_are_not() {
        let mut catalog = Catalog::default();
        let writes = Writes::new(&mut catalog);
        let path = "/api/v1/namespaces/ns/configmaps/books";
        for method in [Method::GET, Method::PATCH, Method::PATCH] {
            let request = Request::builder().method(method).uri(path).body(());
            writes.count(&request.unwrap());
        }
        let text = catalog.scrape().unwrap();
        let line = "dlf_api_writes_total{verb=\"patch\",resource=\"configmaps\"} 2";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("get"), "{text}");
    }
}
