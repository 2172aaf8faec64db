//! The operator's replicas and its webhooks.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apps::v1::Deployment,
    core::v1::Pod,
};
use kube::{
    Client,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Doing, UninstallError, remains::gone};

/// Name of the Deployment and of both webhook configurations, as the chart has them.
const OPERATOR: &str = "dlf-operator";
const WEBHOOKS: &str = "dlf";
/// Selects the operator's pods.
const PODS: &str = "app.kubernetes.io/name=dlf,app.kubernetes.io/component=operator";
/// Longer than the grace period of its pods.
const STOPPED_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Ends the operator's replicas; gives how many there were to be.
pub(super) async fn stop_operator(
    client: &Client,
    namespace: &str,
) -> Result<Option<i32>, UninstallError> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let found = api
        .get_opt(OPERATOR)
        .await
        .doing("looking for the operator")?;
    let Some(found) = found else { return Ok(None) };
    scale(client, namespace, 0).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let deadline = Instant::now() + STOPPED_WITHIN;
    loop {
        let left = pods
            .list_metadata(&ListParams::default().labels(PODS))
            .await;
        if left
            .doing("waiting for the operator to end")?
            .items
            .is_empty()
        {
            return Ok(found.spec.and_then(|spec| spec.replicas));
        }
        if Instant::now() > deadline {
            return Err(UninstallError::OperatorStays(STOPPED_WITHIN.as_secs()));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Starts them again.
pub(super) async fn start_operator(
    client: &Client,
    namespace: &str,
    replicas: Option<i32>,
) -> Result<(), UninstallError> {
    match replicas {
        Some(replicas) => scale(client, namespace, replicas).await,
        None => Ok(()),
    }
}

async fn scale(client: &Client, namespace: &str, replicas: i32) -> Result<(), UninstallError> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let patch = json!({ "spec": { "replicas": replicas } });
    let scaled = api
        .patch_scale(OPERATOR, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    scaled.map(drop).doing("scaling the operator")
}

/// From here on no pod and no Dataset waits for us.
pub(super) async fn remove_webhooks(client: &Client) -> Result<(), UninstallError> {
    let doing = "removing the webhook configurations";
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    gone(mutating.delete(WEBHOOKS, &DeleteParams::default()).await).doing(doing)?;
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    gone(validating.delete(WEBHOOKS, &DeleteParams::default()).await).doing(doing)
}
