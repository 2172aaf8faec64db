use kube::core::{
    Request,
    params::{DeleteParams, Patch, PatchParams, PostParams},
    subresource::LogParams,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{Cluster, Kind, REQUEST_DEADLINE, RequestError};

impl Cluster {
    /// Makes an object; gives it as it is then.
    pub(crate) async fn create(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        object: Value,
    ) -> Result<Value, RequestError> {
        let body = kind.named(object).to_string().into_bytes();
        let request = Request::new(kind.path(namespace)).create(&PostParams::default(), body);
        self.request(request?).await
    }

    /// Merges fields into an object; gives it as it is then.
    pub(crate) async fn patch(
        &self,
        kind: Kind,
        (namespace, name): (&str, &str),
        fields: &Value,
    ) -> Result<Value, RequestError> {
        let request = Request::new(kind.path(Some(namespace)));
        let request = request.patch(name, &PatchParams::default(), &Patch::Merge(fields));
        self.request(request?).await
    }

    /// Whether an object at a path could be applied by this field manager, whatever others own of it;
    /// nothing stays of it.
    pub(crate) async fn try_apply(
        &self,
        path: &str,
        name: &str,
        object: &Value,
        manager: &str,
    ) -> Result<(), RequestError> {
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::apply(manager).force()
        };
        let request = Request::new(path).patch(name, &params, &Patch::Apply(object));
        self.request(request?).await.map(drop)
    }

    /// Deletes an object, if it is there; a pod at once, without a last word, after `grace` 0.
    pub(crate) async fn delete(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        grace: Option<u32>,
    ) -> Result<(), RequestError> {
        let params = DeleteParams {
            grace_period_seconds: grace,
            ..DeleteParams::default()
        };
        let request = Request::new(kind.path(namespace)).delete(name, &params);
        match self.request(request?).await {
            Ok(_) | Err(RequestError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The last lines of a pod's log.
    pub(crate) async fn log(
        &self,
        namespace: &str,
        pod: &str,
        lines: i64,
    ) -> Result<String, RequestError> {
        let params = LogParams {
            tail_lines: Some(lines),
            ..LogParams::default()
        };
        let request = Request::new(Kind::POD.path(Some(namespace))).logs(pod, &params)?;
        match timeout(REQUEST_DEADLINE, self.client.request_text(request)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(RequestError::Late(REQUEST_DEADLINE)),
        }
    }
}
