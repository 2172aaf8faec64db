use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::SlimPod;
use crate::watches::name_of;

/// A pod by namespace and name.
pub type PodKey = (String, String);
/// A dataset by namespace and name.
pub type DatasetKey = (String, String);

/// Who uses what: fed by watch events, asked by key, never scanned.
#[derive(Debug, Default)]
pub struct PodIndex {
    inner: Mutex<Inner>,
    listed: watch::Sender<bool>,
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
        self.listed.send_replace(true);
        gone.into_iter()
            .flat_map(|pod| self.set(pod, None))
            .collect()
    }

    /// Resolves once every pod that uses a dataset is known: before that nothing is free to go.
    pub async fn listed(&self) {
        // It fails without a sender, which is here.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
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
    use futures::FutureExt;
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

    #[tokio::test]
    async fn nobody_is_known_to_use_nothing_before_all_were_listed() {
        let index = PodIndex::default();
        index.apply(&pod("a", "Running", &["x"]));
        assert!(index.listed().now_or_never().is_none());
        index.keep_only(&HashSet::from([("ns".to_owned(), "a".to_owned())]));
        assert!(index.listed().now_or_never().is_some());
        assert_eq!(users(&index, "x"), ["a"]);
    }
}
