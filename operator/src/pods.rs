//! Pods that use datasets: slim objects, and an index of who uses what and where.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

    /// The datasets it uses, by label and by mounting a claim of that name; each with whether their
    /// address is in the environment of its containers.
    #[must_use]
    pub fn datasets(&self) -> BTreeMap<String, bool> {
        let empty = BTreeMap::new();
        let labels = self.metadata.labels.as_ref().unwrap_or(&empty);
        let annotations = self.metadata.annotations.as_ref().unwrap_or(&empty);
        let labelled = dlf_core::labels::parse(labels, annotations).unwrap_or_default();
        let labelled = labelled
            .into_iter()
            .map(|used| (used.id, used.mode.configures()));
        // Later ones win, and what a label says is more.
        self.claims()
            .map(|claim| (claim.to_owned(), false))
            .chain(labelled)
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
    used_by: HashMap<DatasetKey, BTreeMap<String, Use>>,
    /// Every pod that is watched: with nothing when it has finished or is on its way out.
    uses: HashMap<PodKey, BTreeMap<String, Use>>,
}

/// How a pod uses a dataset: its uid, where it has the dataset's address in its environment.
type Use = Option<String>;

impl PodIndex {
    /// A pod as it is now; gives the datasets whose users changed.
    pub fn apply(&self, pod: &SlimPod) -> Vec<DatasetKey> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let used = |told: bool| told.then(|| uid.to_owned());
        let datasets = pod.is_using().then(|| pod.datasets()).into_iter().flatten();
        let now = datasets.map(|(dataset, told)| (dataset, used(told)));
        self.set(name_of(pod), Some(now.collect()))
    }

    /// A pod that is gone; gives the datasets whose users changed.
    pub fn delete(&self, pod: &SlimPod) -> Vec<DatasetKey> {
        self.set(name_of(pod), None)
    }

    /// After a new list: forgets pods that are not in it; gives the datasets whose users changed.
    pub fn keep_only(&self, listed: &HashSet<PodKey>) -> Vec<DatasetKey> {
        let gone: Vec<PodKey> = {
            let inner = self.lock();
            let pods = inner.uses.keys();
            pods.filter(|key| !listed.contains(*key)).cloned().collect()
        };
        gone.into_iter()
            .flat_map(|pod| self.set(pod, None))
            .collect()
    }

    /// Pods of the dataset's namespace that use it, by name.
    #[must_use]
    pub fn users(&self, dataset: &DatasetKey) -> BTreeSet<String> {
        let inner = self.lock();
        let users = inner.used_by.get(dataset).into_iter().flatten();
        users.map(|(pod, _)| pod.clone()).collect()
    }

    /// Those of them that have its address in their environment, as uid and name.
    #[must_use]
    pub fn told(&self, dataset: &DatasetKey) -> BTreeMap<String, String> {
        let inner = self.lock();
        let users = inner.used_by.get(dataset).into_iter().flatten();
        let told = users.filter_map(|(pod, uid)| Some((uid.clone()?, pod.clone())));
        told.collect()
    }

    /// Whether the pod is one of those that are watched: what it uses is known here.
    #[must_use]
    pub fn watches(&self, pod: &PodKey) -> bool {
        self.lock().uses.contains_key(pod)
    }

    fn set(&self, pod: PodKey, uses: Option<BTreeMap<String, Use>>) -> Vec<DatasetKey> {
        let mut inner = self.lock();
        let before = inner.uses.remove(&pod).unwrap_or_default();
        let there = uses.is_some();
        let now = uses.unwrap_or_default();
        let datasets: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let changed: Vec<DatasetKey> = datasets
            .into_iter()
            .filter(|dataset| before.get(*dataset) != now.get(*dataset))
            .map(|dataset| (pod.0.clone(), dataset.clone()))
            .collect();
        for dataset in &changed {
            if let Some(how) = now.get(&dataset.1) {
                let pods = inner.used_by.entry(dataset.clone()).or_default();
                pods.insert(pod.1.clone(), how.clone());
            } else if let Some(pods) = inner.used_by.get_mut(dataset) {
                pods.remove(&pod.1);
                if pods.is_empty() {
                    inner.used_by.remove(dataset);
                }
            }
        }
        if there {
            inner.uses.insert(pod, now);
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn who_has_an_address_in_its_environment_is_known_by_uid() {
        let index = PodIndex::default();
        let labelled = |uid: &str, how: &str| {
            let mut pod = pod("a", "Running", &["x"]);
            pod.metadata.uid = Some(uid.to_owned());
            let labels = [("dataset.0.id", "x"), ("dataset.0.useas", how)];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
            pod.metadata.labels = Some(labels.into());
            pod
        };
        let dataset = ("ns".to_owned(), "x".to_owned());
        index.apply(&labelled("1", "mount"));
        assert!(index.told(&dataset).is_empty());
        assert_eq!(index.apply(&labelled("1", "mount.configmap")).len(), 1);
        let told = |uid: &str| BTreeMap::from([(uid.to_owned(), "a".to_owned())]);
        assert_eq!(index.told(&dataset), told("1"));
        // One of a StatefulSet that was made anew.
        assert_eq!(index.apply(&labelled("2", "configmap")).len(), 1);
        assert_eq!(index.told(&dataset), told("2"));
        assert_eq!(users(&index, "x"), ["a"]);
    }
}
