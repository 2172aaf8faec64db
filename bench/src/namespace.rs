//! A namespace for one measurement.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, ServiceAccount};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::Outcome;

/// Requests of ours at once: keeps the API server busy without queueing.
const CONCURRENCY: usize = 16;
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Nothing measured here takes longer.
const TIMEOUT: Duration = Duration::from_mins(15);

/// Measures in a namespace of its own, which is gone afterwards.
pub(crate) async fn within(
    client: &Client,
    name: &str,
    measure: impl AsyncFnOnce() -> Outcome<()>,
) -> Outcome<()> {
    remove(client, name).await?; // an earlier run may have ended before it did
    make(client, name).await?;
    let measured = measure().await;
    remove(client, name).await?;
    measured
}

/// Makes a namespace, whose pods may be made at once.
async fn make(client: &Client, name: &str) -> Outcome<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    namespaces
        .create(&PostParams::default(), &namespace)
        .await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    until("the default service account", async || {
        Ok(accounts.get_opt("default").await?.is_some())
    })
    .await
}

/// Deletes it, if it is there, and waits until it and its volumes are gone.
async fn remove(client: &Client, name: &str) -> Outcome<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if namespaces.get_opt(name).await?.is_none() {
        return Ok(());
    }
    namespaces.delete(name, &DeleteParams::default()).await?;
    until("the namespace to go", async || {
        Ok(namespaces.get_opt(name).await?.is_none())
    })
    .await
}

/// Makes objects as fast as the API server takes them; gives the time it took.
pub(crate) async fn create<K>(api: &Api<K>, objects: Vec<K>) -> Outcome<Duration>
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let (began, api) = (Instant::now(), Arc::new(api.clone()));
    stream::iter(objects)
        .map(|object| {
            let api = Arc::clone(&api);
            async move { api.create(&PostParams::default(), &object).await }
        })
        .buffer_unordered(CONCURRENCY)
        .try_for_each(async |_| Ok(()))
        .await?;
    Ok(began.elapsed())
}

/// Waits until a namespace has `count` claims.
pub(crate) async fn claims(client: &Client, namespace: &str, count: usize) -> Outcome<()> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    // From the API server's memory: looking must not cost what is measured.
    let look = ListParams::default().match_any();
    until(&format!("{count} claims"), async || {
        Ok(api.list_metadata(&look).await?.items.len() >= count)
    })
    .await
}

/// Whether a condition of an object has this status.
pub(crate) fn has(object: &DynamicObject, condition: &str, status: &str) -> bool {
    let conditions = object.data.pointer("/status/conditions");
    conditions
        .and_then(|all| all.as_array())
        .is_some_and(|all| {
            all.iter()
                .any(|found| found["type"] == condition && found["status"] == status)
        })
}

/// Looks until it is so.
pub(crate) async fn until(what: &str, mut look: impl AsyncFnMut() -> Outcome<bool>) -> Outcome<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !look().await? {
        if Instant::now() > deadline {
            return Err(format!("waited {TIMEOUT:?} for {what}").into());
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
