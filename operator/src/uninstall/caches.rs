//! The namespace of caches, with all that plugins planned.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client,
    api::{Api, DeleteParams},
};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{Doing, UninstallError, remains::gone};

/// Longer than the grace period of pods that a plugin gave none.
const GONE_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Deletes it and waits until it is gone: while it is on its way out, nobody can install DLF again. One
/// that does not end (any API service that is down keeps all namespaces) does not keep the rest.
pub(super) async fn remove(client: &Client, name: &str) -> Result<(), UninstallError> {
    let doing = "removing the namespace of caches";
    let namespaces: Api<Namespace> = Api::all(client.clone());
    gone(namespaces.delete(name, &DeleteParams::default()).await).doing(doing)?;
    let deadline = Instant::now() + GONE_WITHIN;
    while namespaces.get_opt(name).await.doing(doing)?.is_some() {
        if Instant::now() > deadline {
            let waited = GONE_WITHIN.as_secs();
            warn!(
                "namespace {name} is not gone after {waited} s; the conditions in its status say what it waits for"
            );
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
    info!("caches are gone");
    Ok(())
}
