//! Why the pods of a cache that does not serve do not start.

use std::{collections::BTreeSet, time::Duration};

use dlf_core::{pods, shown};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    ResourceExt,
    api::{Api, DynamicObject, ListParams},
};
use serde_json::{Value, json};
use tracing::debug;

use super::{CacheKey, validate::Cache};
use crate::controller::{Context, names::Identity};

/// A workload younger than this is on its way: a normal start costs the API server no question.
const SETTLED: Duration = Duration::from_secs(10);
/// Pods that are looked at. What keeps one from starting keeps the others.
const PODS_MAX: u32 = 20;
/// Longest message of a workload's controller that is passed on: it names quota or policy in less.
const SAID_BYTES_MAX: usize = 512;

/// A workload's kind and name, and what is known of it.
struct Workload<'a> {
    kind: &'static str,
    name: &'a str,
    object: &'a DynamicObject,
}

/// Whether what was planned has not started, and what is known of the cause.
pub(super) struct Starting {
    /// None: nothing is wrong as far as can be told.
    pub(super) trouble: Option<String>,
}

/// Looks at the workloads that were planned; none where all their pods are ready.
pub(super) async fn look(
    planned: &BTreeSet<CacheKey>,
    cache: &Cache,
    identity: &Identity,
    ctx: &Context,
) -> Option<Starting> {
    let objects = ctx.shared.cache_objects.of(&identity.uid);
    let workloads: Vec<Workload<'_>> = planned
        .iter()
        .filter_map(|key| Some((key, objects.get(key)?)))
        .filter_map(|((kind, name), known)| {
            let object = known.object.as_ref();
            Some(Workload {
                kind: kind.of_pods()?,
                name,
                object,
            })
        })
        .filter(|workload| !is_ready(&workload.object.data))
        .collect();
    if workloads.is_empty() {
        return None;
    }
    let told = workloads.iter().find_map(Workload::told);
    let now = Timestamp::now();
    let trouble = match told {
        Some(told) => Some(told),
        None if workloads.iter().any(|workload| workload.is_settled(now)) => {
            let found = pods_of(cache, ctx).await;
            found.and_then(|pods| judge(&pods, &workloads, now))
        }
        None => None,
    };
    Some(Starting { trouble })
}

/// The cache's pods; none where they cannot be had, which is no reason to say anything of them.
async fn pods_of(cache: &Cache, ctx: &Context) -> Option<Vec<Value>> {
    let shared = &ctx.shared;
    let api: Api<Pod> = Api::namespaced(shared.client.clone(), &shared.caches_namespace);
    let labels = cache.place.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let params = ListParams::default()
        .labels(&labels.join(","))
        .limit(PODS_MAX);
    match api.list(&params).await {
        Ok(pods) => Some(pods.items.into_iter().map(|pod| json!(pod)).collect()),
        Err(error) => {
            debug!(%error, cache = cache.place.name, "the pods of a cache were not shown");
            None
        }
    }
}

fn judge(pods: &[Value], workloads: &[Workload<'_>], now: Timestamp) -> Option<String> {
    if let Some(trouble) = pods::trouble(pods) {
        return Some(trouble.to_string());
    }
    // Why one makes no pods, a StatefulSet tells in events only.
    let empty = workloads
        .iter()
        .find(|workload| pods.is_empty() && workload.is_settled(now))?;
    let Workload { kind, name, .. } = empty;
    let namespace = empty.object.namespace().unwrap_or_default();
    Some(format!(
        "{kind} {name} has no pod, as where a quota or Pod Security refuses it: `kubectl -n {namespace} describe {} {name}` \
         tells why",
        kind.to_lowercase()
    ))
}

/// Whether all pods that it wants are ready.
fn is_ready(workload: &Value) -> bool {
    let wanted = workload["spec"]["replicas"].as_u64().unwrap_or(1);
    workload["status"]["readyReplicas"].as_u64().unwrap_or(0) >= wanted
}

impl Workload<'_> {
    /// What its controller says of pods that it could not make.
    fn told(&self) -> Option<String> {
        let conditions = self.object.data["status"]["conditions"].as_array()?;
        let failed = conditions.iter().find(|condition| {
            condition["type"] == "ReplicaFailure" && condition["status"] == "True"
        })?;
        let said = |field: &str| {
            let said = failed[field].as_str().unwrap_or_default();
            shown::line(said, SAID_BYTES_MAX)
        };
        let (kind, name) = (self.kind, self.name);
        Some(format!(
            "{kind} {name}: {}: {}",
            said("reason"),
            said("message")
        ))
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        let made = self.object.creation_timestamp();
        made.is_some_and(|made| now.duration_since(made.0).unsigned_abs() >= SETTLED)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::CacheKind, *};

    fn workload(kind: CacheKind, status: &Value) -> DynamicObject {
        let mut object: DynamicObject = serde_json::from_value(json!({
            "metadata": {
                "name": "cache-1", "namespace": "dlf-caches", "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": { "replicas": 2 },
        }))
        .unwrap();
        object.types = Some(kube::core::TypeMeta {
            api_version: "apps/v1".to_owned(),
            kind: kind.resource().kind,
        });
        object.data["status"] = status.clone();
        object
    }

    fn of(kind: CacheKind, object: &DynamicObject) -> Workload<'_> {
        Workload {
            kind: kind.of_pods().unwrap(),
            name: "cache-1",
            object,
        }
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_workload_is_ready_with_all_its_pods() {
        let ready = |status: Value| is_ready(&workload(CacheKind::Deployment, &status).data);
        assert!(!ready(json!({})));
        assert!(!ready(json!({ "replicas": 2, "readyReplicas": 1 })));
        assert!(ready(json!({ "replicas": 2, "readyReplicas": 2 })));
    }

    #[test]
    fn pods_that_a_policy_refuses_stand_in_the_deployments_own_condition() {
        let message = "pods \"cache-1-7d4b9-x\" is forbidden: violates PodSecurity \"restricted:latest\": \
                       runAsNonRoot != true (pod or container \"main\" must set securityContext.runAsNonRoot=true)";
        let status = json!({ "conditions": [
            { "type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "..." },
            { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message },
        ]});
        let object = workload(CacheKind::Deployment, &status);
        let told = of(CacheKind::Deployment, &object).told().unwrap();
        assert_eq!(told, format!("Deployment cache-1: FailedCreate: {message}"));
        let healed = json!({ "conditions": [{ "type": "ReplicaFailure", "status": "False" }] });
        let object = workload(CacheKind::Deployment, &healed);
        assert_eq!(of(CacheKind::Deployment, &object).told(), None);
    }

    #[test]
    fn a_workload_without_any_pod_is_named_once_it_had_its_time() {
        let object = workload(CacheKind::StatefulSet, &json!({ "replicas": 0 }));
        let set = [of(CacheKind::StatefulSet, &object)];
        assert_eq!(judge(&[], &set, at("2026-01-01T00:00:09Z")), None);
        let told = judge(&[], &set, at("2026-01-01T00:00:10Z")).unwrap();
        for part in [
            "StatefulSet cache-1 has no pod",
            "kubectl -n dlf-caches describe statefulset cache-1",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let starts = json!({ "metadata": { "name": "cache-1-0" }, "status": {
            "phase": "Pending", "containerStatuses": [{ "state": { "waiting": { "reason": "ContainerCreating" } } }],
        }});
        assert_eq!(judge(&[starts], &set, at("2026-01-01T01:00:00Z")), None);
    }

    #[test]
    fn a_pod_that_does_not_start_is_named_with_its_cause() {
        let object = workload(CacheKind::Deployment, &json!({}));
        let pod = json!({ "metadata": { "name": "cache-1-x" }, "status": { "containerStatuses": [{
            "name": "main", "ready": false,
            "state": { "waiting": { "reason": "ErrImagePull", "message": "not found" } },
        }]}});
        let told = judge(
            &[pod],
            &[of(CacheKind::Deployment, &object)],
            at("2026-01-01T00:00:10Z"),
        );
        let expected = "pod cache-1-x, container main: ErrImagePull: not found";
        assert_eq!(told.as_deref(), Some(expected));
    }
}
