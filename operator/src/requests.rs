//! What the operator asks of the API server, counted where every request passes: nobody can
//! forget to count.

use std::task::{Context, Poll};

use http::{Method, Request, Uri};
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

/// Requests by verb and resource. Both come from our own code: no user can add one.
#[derive(Clone, Debug, Default)]
pub struct Requests(Family<Kind, Counter>);

/// A kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    verb: &'static str,
    resource: String,
}

impl Requests {
    /// New ones, entered in the catalog.
    #[must_use]
    pub fn new(catalog: &mut Catalog) -> Self {
        let requests = Self::default();
        catalog.counter(
            "dlf_api_requests",
            "Requests to the API server, by verb as roles name it and resource (`datasets/status` is a subresource); a watch counts when it begins",
            &["verb", "resource"],
            requests.0.clone(),
        );
        requests
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
        let target = Resource::of(request.uri().path());
        let verb = verb(request, &target);
        let resource = target.resource;
        self.0.get_or_create(&Kind { verb, resource }).inc();
    }
}

impl<S> Layer<S> for Requests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            requests: self.clone(),
            inner,
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    requests: Requests,
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
        self.requests.count(&request);
        self.inner.call(request)
    }
}

/// As roles name them.
fn verb<B>(request: &Request<B>, target: &Resource) -> &'static str {
    match *request.method() {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if target.named => "delete",
        Method::DELETE => "deletecollection",
        _ if watches(request.uri()) => "watch",
        _ if target.named => "get",
        _ => "list",
    }
}

fn watches(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split('&').any(|option| option == "watch=true")
}

/// What a path is about.
#[derive(Debug, PartialEq, Eq)]
struct Resource {
    /// With its subresource, without namespace and name.
    resource: String,
    /// One object, not all of a kind.
    named: bool,
}

impl Resource {
    fn of(path: &str) -> Self {
        let mut parts = path.trim_matches('/').split('/');
        // `/api/VERSION` or `/apis/GROUP/VERSION`
        let prefix = if parts.next() == Some("api") { 1 } else { 2 };
        let mut rest: Vec<&str> = parts.skip(prefix).collect();
        if rest.len() > 2 && rest[0] == "namespaces" {
            rest.drain(..2);
        }
        let resource = match rest[..] {
            [resource, _, sub, ..] => format!("{resource}/{sub}"),
            [resource, ..] => resource.to_owned(),
            [] => String::new(),
        };
        Self {
            resource,
            named: rest.len() > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(method: Method, uri: &str) -> String {
        let mut catalog = Catalog::default();
        let requests = Requests::new(&mut catalog);
        let request = Request::builder().method(method).uri(uri).body(());
        requests.count(&request.unwrap());
        let text = catalog.scrape().unwrap();
        let line = text.lines().find(|line| !line.starts_with('#'));
        line.unwrap_or_default().to_owned()
    }

    #[test]
    fn a_request_tells_verb_and_resource_and_neither_namespace_nor_name() {
        const OURS: &str = "/apis/com.ie.ibm.hpsys/v1alpha1";
        for (method, uri, verb, resource) in [
            (
                Method::GET,
                "/api/v1/namespaces/ns/secrets/books",
                "get",
                "secrets",
            ),
            (Method::GET, "/api/v1/secrets?limit=500", "list", "secrets"),
            (
                Method::GET,
                "/api/v1/secrets?allowWatchBookmarks=true&watch=true",
                "watch",
                "secrets",
            ),
            (Method::GET, "/api/v1/namespaces/ns", "get", "namespaces"),
            (
                Method::POST,
                "/api/v1/namespaces/ns/events",
                "create",
                "events",
            ),
            (
                Method::PATCH,
                "/api/v1/persistentvolumes/dlf-1",
                "patch",
                "persistentvolumes",
            ),
            (
                Method::PUT,
                &format!("{OURS}/namespaces/ns/datasets/books/status"),
                "update",
                "datasets/status",
            ),
            (
                Method::POST,
                "/apis/authentication.k8s.io/v1/tokenreviews",
                "create",
                "tokenreviews",
            ),
            (
                Method::DELETE,
                "/api/v1/namespaces/ns/configmaps/books",
                "delete",
                "configmaps",
            ),
            (
                Method::DELETE,
                "/api/v1/namespaces/ns/configmaps",
                "deletecollection",
                "configmaps",
            ),
        ] {
            let expected =
                format!("dlf_api_requests_total{{verb=\"{verb}\",resource=\"{resource}\"}} 1");
            assert_eq!(line(method, uri), expected);
        }
    }
}
