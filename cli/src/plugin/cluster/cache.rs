//! What is in the namespace of caches of the check's Dataset.

use std::collections::BTreeSet;

use dlf_core::names::{LABEL_CACHE, LABEL_DATASET_NAMESPACE, LABEL_PLUGIN};
use kube::core::params::ListParams;
use serde_json::Value;

use crate::cluster::{Cluster, Kind, RequestError};

/// Kinds that a cache is made of, its pods apart.
pub(super) const KINDS: [Kind; 6] = [
    Kind::DEPLOYMENT,
    Kind::STATEFUL_SET,
    Kind::SERVICE,
    Kind::CONFIG_MAP,
    Kind::CLAIM,
    Kind::NETWORK_POLICY,
];

/// Objects of the caches of a namespace's Datasets.
pub(super) async fn objects(
    cluster: &Cluster,
    caches: &str,
    namespace: &str,
) -> Result<Vec<Value>, RequestError> {
    let selector = format!("{LABEL_DATASET_NAMESPACE}={namespace}");
    let mut found = Vec::new();
    for kind in KINDS {
        let params = ListParams::default().labels(&selector);
        found.extend(cluster.list(kind, Some(caches), params).await?);
    }
    Ok(found)
}

/// Pods of these caches.
pub(super) async fn pods(
    cluster: &Cluster,
    caches: &str,
    names: &BTreeSet<String>,
) -> Result<Vec<Value>, RequestError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let selector = format!("{LABEL_CACHE} in ({})", names.join(","));
    let params = ListParams::default().labels(&selector);
    cluster.list(Kind::POD, Some(caches), params).await
}

/// `Kind name`, as messages have it.
pub(super) fn shown(objects: &[Value]) -> String {
    let objects = objects.iter().map(|object| {
        let kind = object["kind"].as_str().unwrap_or_default();
        format!("{kind} {}", name(object))
    });
    objects.collect::<Vec<_>>().join(", ")
}

pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn is_workload(object: &Value) -> bool {
    object["kind"] == "Deployment" || object["kind"] == "StatefulSet"
}

/// The names by which pods of the caches are known.
pub(super) fn names(objects: &[Value]) -> BTreeSet<String> {
    let workloads = objects.iter().filter(|object| is_workload(object));
    let label = |object: &Value| {
        let labels = &object["spec"]["template"]["metadata"]["labels"];
        labels[LABEL_CACHE].as_str().map(ToOwned::to_owned)
    };
    workloads.filter_map(label).collect()
}

/// What is there of a plugin's plan, once it is all labelled and runs; what is missing otherwise.
pub(super) fn running(objects: &[Value], plugin: &str) -> Result<String, String> {
    // Who may reach a cache is the operator's own to say.
    let planned = objects.iter().filter(|one| one["kind"] != "NetworkPolicy");
    let planned: Vec<Value> = planned.cloned().collect();
    let foreign = planned.iter().filter(|object| {
        let label = object["metadata"]["labels"][LABEL_PLUGIN].as_str();
        label != Some(plugin)
    });
    let foreign: Vec<Value> = foreign.cloned().collect();
    if !foreign.is_empty() {
        let shown = shown(&foreign);
        return Err(format!(
            "without the label {LABEL_PLUGIN}={plugin}: {shown}"
        ));
    }
    let mut pods = 0;
    let workloads = planned.iter().filter(|object| is_workload(object));
    for workload in workloads {
        let (kind, name) = (
            workload["kind"].as_str().unwrap_or_default(),
            name(workload),
        );
        let status = |field: &str| workload["status"][field].as_u64().unwrap_or(0);
        let wanted = workload["spec"]["replicas"].as_u64().unwrap_or(1);
        let ready = status("readyReplicas").min(status("updatedReplicas"));
        let seen =
            workload["metadata"]["generation"].as_u64() <= Some(status("observedGeneration"));
        if !seen || ready < wanted || status("replicas") != wanted {
            return Err(format!("{kind} {name} has {ready} of {wanted} pods ready"));
        }
        pods += wanted;
    }
    match (planned.is_empty(), pods) {
        (true, _) => Err("nothing is there yet".to_owned()),
        (false, 0) => Err(format!("no pods, only {}", shown(&planned))),
        (false, pods) => Ok(format!(
            "{}; {} ready",
            shown(&planned),
            crate::text::counted(pods, "pod")
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, plugin: &str) -> Value {
        json!({ "kind": kind, "metadata": { "name": "cache-1", "generation": 2, "labels": { LABEL_PLUGIN: plugin } } })
    }

    fn deployment(ready: u64, observed: u64) -> Value {
        let mut object = object("Deployment", "acme");
        object["spec"] = json!({ "replicas": 2, "template": { "metadata": { "labels": { LABEL_CACHE: "cache-1" } } } });
        object["status"] = json!({ "replicas": 2, "updatedReplicas": 2, "readyReplicas": ready, "observedGeneration": observed });
        object
    }

    #[test]
    fn a_plan_runs_once_all_its_pods_are_ready() {
        let policy = json!({ "kind": "NetworkPolicy", "metadata": { "name": "cache-1" } });
        let service = object("Service", "acme");
        let all = |deployment| [deployment, service.clone(), policy.clone()];
        let found = running(&all(deployment(2, 2)), "acme").unwrap();
        assert_eq!(found, "Deployment cache-1, Service cache-1; 2 pods ready");
        for (ready, observed) in [(1, 2), (2, 1)] {
            let found = running(&all(deployment(ready, observed)), "acme").unwrap_err();
            assert!(found.contains("of 2 pods ready"), "{found}");
        }
        assert_eq!(
            names(&all(deployment(2, 2))),
            BTreeSet::from(["cache-1".to_owned()])
        );
    }

    #[test]
    fn what_is_missing_of_a_plan_is_said() {
        let missing = |objects: &[Value]| running(objects, "acme").unwrap_err();
        assert_eq!(missing(&[]), "nothing is there yet");
        assert_eq!(
            missing(&[object("Service", "acme")]),
            "no pods, only Service cache-1"
        );
        let foreign = missing(&[object("Service", "other")]);
        assert_eq!(
            foreign,
            "without the label dlf.dev/plugin=acme: Service cache-1"
        );
    }
}
