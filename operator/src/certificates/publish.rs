//! Tells the cluster which authority to trust.

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Client, Resource,
    api::{Api, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::info;

use super::{BUNDLE_KEY, NAME};

const FIELD_MANAGER: &str = "dlf-operator";
/// Name of both webhook configurations, which the chart makes.
pub(super) const WEBHOOKS: &str = "dlf";

/// Writes the bundle where drivers, workers and plugins mount it from.
pub(super) async fn publish_bundle(
    client: &Client,
    namespace: &str,
    bundle: &str,
) -> kube::Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = maps.get_opt(NAME).await?;
    let published = found.and_then(|map| map.data?.remove(BUNDLE_KEY));
    if published.as_deref() == Some(bundle) {
        return Ok(());
    }
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": NAME, "namespace": namespace },
        "data": { BUNDLE_KEY: bundle },
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    maps.patch(NAME, &params, &Patch::Apply(map)).await?;
    Ok(())
}

/// Writes the bundle into every webhook of a configuration that does not have it, and nothing else:
/// the rest belongs to the chart.
pub(super) async fn trust<K>(client: &Client, bundle: &str) -> kube::Result<()>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + serde::Serialize,
{
    let api: Api<K> = Api::all(client.clone());
    let Some(found) = api.get_opt(WEBHOOKS).await? else {
        return Ok(());
    };
    let found = serde_json::to_value(&found).map_err(kube::Error::SerdeError)?;
    let operations = mend(&found, &BASE64_STANDARD.encode(bundle));
    if operations.is_empty() {
        return Ok(());
    }
    let patch: json_patch::Patch =
        serde_json::from_value(Value::from(operations)).map_err(kube::Error::SerdeError)?;
    info!(kind = %K::kind(&()), "telling the API server which authority to trust");
    api.patch(WEBHOOKS, &PatchParams::default(), &Patch::Json::<()>(patch))
        .await?;
    Ok(())
}

/// Operations that give each webhook the bundle; none where all have it.
fn mend(configuration: &Value, bundle: &str) -> Vec<Value> {
    let webhooks = configuration["webhooks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let stale = webhooks
        .iter()
        .enumerate()
        .filter(|(_, webhook)| webhook["clientConfig"]["caBundle"] != bundle);
    let mut operations: Vec<Value> = stale
        .map(|(index, _)| {
            json!({ "op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"), "value": bundle })
        })
        .collect();
    if !operations.is_empty() {
        // The indexes are right for this version only.
        let version = &configuration["metadata"]["resourceVersion"];
        operations.insert(
            0,
            json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version }),
        );
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(bundles: &[Option<&str>]) -> Value {
        let webhook = |bundle: Option<&str>| match bundle {
            Some(bundle) => json!({ "clientConfig": { "caBundle": bundle } }),
            None => json!({ "clientConfig": {} }),
        };
        let webhooks: Vec<Value> = bundles.iter().copied().map(webhook).collect();
        json!({ "metadata": { "resourceVersion": "7" }, "webhooks": webhooks })
    }

    #[test]
    fn only_webhooks_without_the_bundle_are_touched() {
        let operations = mend(&configuration(&[Some("new"), Some("old"), None]), "new");
        let paths: Vec<_> = operations
            .iter()
            .filter_map(|operation| operation["path"].as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "/metadata/resourceVersion",
                "/webhooks/1/clientConfig/caBundle",
                "/webhooks/2/clientConfig/caBundle"
            ]
        );
        assert!(mend(&configuration(&[Some("new")]), "new").is_empty());
    }
}
