//! Pods that use datasets: slim objects, and an index of who uses what and where.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use dlf_core::names::LABEL_USES_DATASETS;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Client, Resource,
    api::Api,
    runtime::{reflector::store::Writer, watcher},
};
use serde::{Deserialize, Serialize};

use crate::{
    waker::{Name, Waker},
    watches::{Change, follow, name_of, stored},
};

/// As much of a Pod as the operator looks at: a full one costs 41 KB, this one under 3 KB.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SlimPod {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// Where it is and what it mounts.
    #[serde(default)]
    pub spec: SlimPodSpec,
    /// Whether it has finished.
    #[serde(default)]
    pub status: SlimPodStatus,
}

/// Where a pod is and what it mounts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimPodSpec {
    /// Empty until it is scheduled.
    pub node_name: Option<String>,
    /// Its volumes.
    pub volumes: Vec<SlimVolume>,
}

/// A volume, if it is a claim.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimVolume {
    /// The claim.
    pub persistent_volume_claim: Option<SlimClaim>,
}

/// The claim of a volume.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimClaim {
    /// Its name.
    pub claim_name: String,
}

/// Whether a pod has finished.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SlimPodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
}

impl Resource for SlimPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl SlimPod {
    /// Names of the claims it mounts.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.spec
            .volumes
            .iter()
            .filter_map(|volume| volume.persistent_volume_claim.as_ref())
            .map(|claim| claim.claim_name.as_str())
    }

    /// Whether it holds what it uses: neither finished nor on its way out.
    #[must_use]
    pub fn is_using(&self) -> bool {
        self.metadata.deletion_timestamp.is_none()
            && !matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Names of the datasets it uses: by label, and by mounting a claim of that name.
    #[must_use]
    pub fn datasets(&self) -> BTreeSet<String> {
        let empty = BTreeMap::new();
        let labels = self.metadata.labels.as_ref().unwrap_or(&empty);
        let annotations = self.metadata.annotations.as_ref().unwrap_or(&empty);
        let labelled = dlf_core::labels::parse(labels, annotations).unwrap_or_default();
        labelled
            .into_iter()
            .map(|used| used.id)
            .chain(self.claims().map(str::to_owned))
            .collect()
    }
}

/// Follows the pods that the webhook stamped, for ever: a store for who asks about one pod, the
/// index for who uses what, and a wake for each dataset whose users changed.
pub async fn watch(
    client: Client,
    writer: Writer<SlimPod>,
    index: Arc<PodIndex>,
    changes: Waker<Name>,
) {
    let config = watcher::Config::default().labels(&format!("{LABEL_USES_DATASETS}=true"));
    follow(stored(Api::all(client), config, writer), |change| {
        let woken = match change {
            Change::Applied(pod) => index.apply(&pod),
            Change::Deleted(pod) => index.delete(&pod),
            Change::Listed(listed) => index.keep_only(&listed),
        };
        for dataset in woken {
            changes.wake(dataset);
        }
    })
    .await;
}

/// A pod by namespace and name.
pub type PodKey = (String, String);
/// A dataset by namespace and name.
pub type DatasetKey = (String, String);

/// Who uses what: fed by watch events, asked by key, never scanned.
#[derive(Debug, Default)]
pub struct PodIndex {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    used_by: HashMap<DatasetKey, BTreeSet<String>>,
    /// Every pod that is watched: with nothing when it has finished or is on its way out.
    uses: HashMap<PodKey, BTreeSet<String>>,
}

impl PodIndex {
    /// A pod as it is now; gives the datasets whose users changed.
    pub fn apply(&self, pod: &SlimPod) -> Vec<DatasetKey> {
        let now = if pod.is_using() {
            pod.datasets()
        } else {
            BTreeSet::new()
        };
        self.set(name_of(pod), Some(now))
    }

    /// A pod that is gone; gives the datasets whose users changed.
    pub fn delete(&self, pod: &SlimPod) -> Vec<DatasetKey> {
        self.set(name_of(pod), None)
    }

    /// After a new list: forgets pods that are not in it; gives the datasets whose users changed.
    pub fn keep_only(&self, listed: &HashSet<PodKey>) -> Vec<DatasetKey> {
        let gone: Vec<PodKey> = {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner
                .uses
                .keys()
                .filter(|key| !listed.contains(*key))
                .cloned()
                .collect()
        };
        gone.into_iter()
            .flat_map(|pod| self.set(pod, None))
            .collect()
    }

    /// Pods of the dataset's namespace that use it, by name.
    #[must_use]
    pub fn users(&self, dataset: &DatasetKey) -> BTreeSet<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.used_by.get(dataset).cloned().unwrap_or_default()
    }

    /// Whether the pod is one of those that are watched: what it uses is known here.
    #[must_use]
    pub fn watches(&self, pod: &PodKey) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses.contains_key(pod)
    }

    fn set(&self, pod: PodKey, uses: Option<BTreeSet<String>>) -> Vec<DatasetKey> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.uses.remove(&pod).unwrap_or_default();
        let there = uses.is_some();
        let now = uses.unwrap_or_default();
        let changed: Vec<DatasetKey> = before
            .symmetric_difference(&now)
            .map(|dataset| (pod.0.clone(), dataset.clone()))
            .collect();
        for dataset in &changed {
            if now.contains(&dataset.1) {
                inner
                    .used_by
                    .entry(dataset.clone())
                    .or_default()
                    .insert(pod.1.clone());
            } else if let Some(users) = inner.used_by.get_mut(dataset) {
                users.remove(&pod.1);
                if users.is_empty() {
                    inner.used_by.remove(dataset);
                }
            }
        }
        if there {
            inner.uses.insert(pod, now);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, phase: &str, claims: &[&str]) -> SlimPod {
        let volumes: Vec<_> = claims
            .iter()
            .map(|claim| json!({ "name": claim, "persistentVolumeClaim": { "claimName": claim } }))
            .collect();
        serde_json::from_value(json!({
            "metadata": { "namespace": "ns", "name": name },
            "spec": { "volumes": volumes },
            "status": { "phase": phase },
        }))
        .unwrap()
    }

    fn users(index: &PodIndex, dataset: &str) -> Vec<String> {
        index
            .users(&("ns".to_owned(), dataset.to_owned()))
            .into_iter()
            .collect()
    }

    #[test]
    fn a_pod_counts_until_it_has_finished_or_is_gone() {
        let index = PodIndex::default();
        assert_eq!(index.apply(&pod("a", "Pending", &["x", "y"])).len(), 2);
        assert_eq!(index.apply(&pod("b", "Running", &["x"])).len(), 1);
        assert_eq!(users(&index, "x"), ["a", "b"]);
        assert!(
            index.apply(&pod("b", "Running", &["x"])).is_empty(),
            "no change, nobody woken"
        );
        index.apply(&pod("a", "Succeeded", &["x", "y"]));
        assert_eq!(users(&index, "x"), ["b"]);
        index.delete(&pod("b", "Running", &["x"]));
        assert!(users(&index, "x").is_empty());
        let key = |name: &str| ("ns".to_owned(), name.to_owned());
        assert!(index.watches(&key("a")) && !index.watches(&key("b")));
        assert!(index.keep_only(&HashSet::new()).is_empty());
        let inner = index.inner.lock().unwrap();
        assert!(
            inner.used_by.is_empty() && inner.uses.is_empty(),
            "nothing is left behind"
        );
    }
}
