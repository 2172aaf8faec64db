//! The API server, asked with the rights and the kubeconfig of who runs this.

mod connect;
mod error;
mod kind;
mod looked;
mod write;

use std::time::Duration;

use kube::{
    Client,
    core::{
        Request,
        params::{GetParams, ListParams},
    },
};
use serde_json::Value;
use tokio::time::timeout;

pub(crate) use self::{connect::connect, error::RequestError, kind::Kind, looked::Looked};

/// A question to the API server is given up after this long: nobody waits longer at a prompt.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// Objects of one answer; the rest is asked for in further ones, as kubectl does.
const PAGE: u32 = 500;

/// A cluster, and the namespace that is meant when none is named.
pub(crate) struct Cluster {
    client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    /// One object; none where it does not exist or its kind is not served.
    pub(crate) async fn get(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, RequestError> {
        self.get_at(&kind.path(namespace), name).await
    }

    /// One object of those that stand at a path.
    pub(crate) async fn get_at(
        &self,
        path: &str,
        name: &str,
    ) -> Result<Option<Value>, RequestError> {
        let request = Request::new(path).get(name, &GetParams::default());
        match self.request(request?).await {
            Err(RequestError::NotFound) => Ok(None),
            other => other.map(Some),
        }
    }

    /// All objects of a kind, of one namespace or of all, that match the selectors of `params`.
    pub(crate) async fn list(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        params: ListParams,
    ) -> Result<Vec<Value>, RequestError> {
        let items = self.list_at(&kind.path(namespace), params).await?;
        Ok(items.into_iter().map(|item| kind.named(item)).collect())
    }

    /// All objects that stand at a path, without the kind that lists leave out.
    pub(crate) async fn list_at(
        &self,
        path: &str,
        params: ListParams,
    ) -> Result<Vec<Value>, RequestError> {
        let mut params = params.limit(PAGE);
        let mut found = Vec::new();
        loop {
            let request = Request::new(path).list(&params)?;
            let mut page = self.request(request).await?;
            if let Value::Array(items) = page["items"].take() {
                found.extend(items);
            }
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => params = params.continue_token(token),
                _ => return Ok(found),
            }
        }
    }

    /// What stands at a path.
    pub(crate) async fn read(&self, path: &str) -> Result<Value, RequestError> {
        self.request(http::Request::get(path).body(Vec::new())?)
            .await
    }

    async fn request(&self, request: http::Request<Vec<u8>>) -> Result<Value, RequestError> {
        match timeout(REQUEST_DEADLINE, self.client.request(request)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(RequestError::Late(REQUEST_DEADLINE)),
        }
    }
}
