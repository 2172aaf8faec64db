//! What is in the cluster of what a plugin plans.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use dlf_core::{
    api::{ApiGroup, Dataset},
    names::{LABEL_CACHE, LABEL_DATASET_NAME, LABEL_DATASET_NAMESPACE, LABEL_PLUGIN},
    plugin::{CachePlace, DatasetRef, KindRef},
};
use kube::core::params::ListParams;
use serde_json::Value;

use super::diff::identity;
use crate::{
    arguments::Connection,
    cluster::{self, Cluster, RequestError},
    datasets::{self, View},
};

/// The cluster that a plan is compared with.
pub(super) struct Live {
    cluster: Cluster,
}

impl Live {
    /// The cluster that the options name; none where there is none that answers.
    pub(super) async fn connect(connection: &Connection) -> Option<Self> {
        let absent = |error: &dyn std::fmt::Display| {
            eprintln!("compared with nothing, for there is no cluster: {error}");
        };
        let cluster = match cluster::connect(connection).await {
            Ok(cluster) => cluster,
            Err(error) => {
                absent(&error);
                return None;
            }
        };
        match cluster.read("/version").await {
            // An API server that answers no may still show objects.
            Ok(_) | Err(RequestError::Forbidden(_)) => Some(Self { cluster }),
            Err(error) => {
                absent(&error);
                None
            }
        }
    }

    /// The Dataset of the file as it is in the cluster: its namespace and its uid.
    pub(super) async fn identify(
        &self,
        dataset: &mut DatasetRef,
        file: &Dataset,
    ) -> Result<(), Box<dyn Error>> {
        if file.metadata.namespace.is_none() {
            dataset.namespace.clone_from(&self.cluster.namespace);
        }
        let version = file.types.as_ref().map(|types| types.api_version.as_str());
        let group = version.and_then(ApiGroup::parse).unwrap_or_default();
        let (namespace, name) = (
            Some(dataset.namespace.as_str()),
            Some(dataset.name.as_str()),
        );
        let found = datasets::list(&self.cluster, namespace, name).await?;
        let uid = found.iter().find(|view| view.group == group).map(View::uid);
        match uid {
            Some(uid) => uid.clone_into(&mut dataset.uid),
            None => eprintln!(
                "there is no Dataset {} in namespace {}: its cache is new",
                dataset.name, dataset.namespace
            ),
        }
        Ok(())
    }

    /// Objects of these kinds that a plugin planned for the Dataset before. Never Secrets.
    pub(super) async fn objects(
        &self,
        kinds: &[KindRef],
        plugin: &str,
        dataset: &DatasetRef,
        namespace: &str,
    ) -> Result<Vec<Value>, Box<dyn Error>> {
        let selector = format!(
            "{LABEL_DATASET_NAME}={},{LABEL_DATASET_NAMESPACE}={}",
            dataset.name, dataset.namespace
        );
        let mut found = Vec::new();
        for kind in kinds.iter().filter(|kind| kind.kind != "Secret") {
            let Some(path) = self.path(kind, namespace).await? else {
                continue;
            };
            let params = ListParams::default().labels(&selector);
            let items = self.cluster.list_at(&path, params).await?;
            found.extend(items.into_iter().map(|mut item| {
                item["apiVersion"] = kind.api_version.clone().into();
                item["kind"] = kind.kind.clone().into();
                item
            }));
        }
        if let Some(others) = others(&found, plugin) {
            eprintln!(
                "plugin {plugin} has no cache of this Dataset, and {others} has: --installed-as compares with that"
            );
        }
        found.retain(|object| {
            let labels = &object["metadata"]["labels"];
            match labels[LABEL_PLUGIN].as_str() {
                Some(label) => label == plugin,
                // What DLF itself made for the Dataset has neither.
                None => labels[LABEL_CACHE].is_string(),
            }
        });
        Ok(found)
    }

    /// Whether a planned object could be applied by this field manager.
    pub(super) async fn try_apply(
        &self,
        object: &Value,
        manager: &str,
    ) -> Result<(), RequestError> {
        let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let path = self
            .path(&kind_of(object), &said(&metadata["namespace"]))
            .await?;
        let path = path.ok_or(RequestError::NotFound)?;
        let name = said(&metadata["name"]);
        self.cluster.try_apply(&path, &name, object, manager).await
    }

    /// Adds planned objects that are there without the Dataset's labels: they stand in the way.
    pub(super) async fn complete(
        &self,
        found: &mut Vec<Value>,
        planned: &[Value],
    ) -> Result<(), Box<dyn Error>> {
        for object in planned.iter().filter(|object| object["kind"] != "Secret") {
            if found.iter().any(|live| identity(live) == identity(object)) {
                continue;
            }
            let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let kind = kind_of(object);
            let metadata = &object["metadata"];
            let Some(path) = self.path(&kind, &said(&metadata["namespace"])).await? else {
                continue;
            };
            found.extend(self.cluster.get_at(&path, &said(&metadata["name"])).await?);
        }
        Ok(())
    }

    /// Where objects of a kind stand; none where the cluster does not serve it.
    async fn path(&self, kind: &KindRef, namespace: &str) -> Result<Option<String>, RequestError> {
        let root = if kind.api_version.contains('/') {
            format!("/apis/{}", kind.api_version)
        } else {
            format!("/api/{}", kind.api_version)
        };
        let served = match self.cluster.read(&root).await {
            Err(RequestError::NotFound) => return Ok(None),
            other => other?,
        };
        let resources = served["resources"].as_array().into_iter().flatten();
        let plural = resources
            .filter(|resource| resource["kind"] == kind.kind.as_str())
            .filter_map(|resource| resource["name"].as_str())
            // Others are parts of it: deployments/status.
            .find(|name| !name.contains('/'));
        Ok(plural.map(|plural| format!("{root}/namespaces/{namespace}/{plural}")))
    }
}

fn kind_of(object: &Value) -> KindRef {
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    KindRef {
        api_version: said(&object["apiVersion"]),
        kind: said(&object["kind"]),
    }
}

/// Other plugins that planned these objects, where this one planned none.
fn others(found: &[Value], plugin: &str) -> Option<String> {
    let labels = found
        .iter()
        .filter_map(|object| object["metadata"]["labels"][LABEL_PLUGIN].as_str());
    let labels: BTreeSet<&str> = labels.collect();
    let only_others = !labels.is_empty() && !labels.contains(plugin);
    only_others.then(|| labels.into_iter().collect::<Vec<_>>().join(", "))
}

/// The place that the cluster's operator chose, as the newest of its objects show it.
pub(super) fn place(found: &[Value], otherwise: CachePlace) -> CachePlace {
    let created = |object: &&Value| {
        let created = object["metadata"]["creationTimestamp"].as_str();
        created.map(ToOwned::to_owned)
    };
    let Some(newest) = found.iter().max_by_key(created) else {
        return otherwise;
    };
    let label = newest["metadata"]["labels"][LABEL_CACHE].as_str();
    let Some(name) = label.or_else(|| newest["metadata"]["name"].as_str()) else {
        return otherwise;
    };
    CachePlace {
        name: name.to_owned(),
        labels: BTreeMap::from([(LABEL_CACHE.to_owned(), name.to_owned())]),
        ..otherwise
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plugin_that_is_installed_under_another_name_is_pointed_at() {
        let object = |plugin: &str| json!({ "metadata": { "labels": { LABEL_PLUGIN: plugin } } });
        let found = [object("acme"), object("acme"), json!({})];
        assert_eq!(others(&found, "nginx").as_deref(), Some("acme"));
        assert_eq!(others(&found, "acme"), None);
        assert_eq!(others(&[], "nginx"), None);
    }

    #[test]
    fn the_place_is_that_of_the_newest_cache() {
        let object = |name: &str, created: &str| {
            json!({ "metadata": {
                "name": format!("{name}-0"), "creationTimestamp": created, "labels": { LABEL_CACHE: name },
            }})
        };
        let otherwise = CachePlace {
            namespace: "dlf-caches".to_owned(),
            name: "cache-new".to_owned(),
            labels: BTreeMap::new(),
            key_secret: None,
        };
        let found = [
            object("cache-b", "2026-01-02T00:00:00Z"),
            object("cache-a", "2026-01-01T00:00:00Z"),
        ];
        let chosen = place(&found, otherwise.clone());
        assert_eq!(chosen.name, "cache-b");
        assert_eq!(chosen.labels[LABEL_CACHE], "cache-b");
        assert_eq!(place(&[], otherwise.clone()), otherwise);
    }
}
