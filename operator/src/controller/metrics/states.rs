use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::{
    api::{ApiGroup, Dataset},
    condition::ConditionType,
};

use crate::waker::Name;

/// Reasons that are counted apart: ours are some forty, and a plugin may have its own, but a metric
/// must not grow with what plugins think of.
const STATES_MAX: usize = 64;
/// The rest of them.
const OTHER: &str = "Other";

/// How many Datasets, and how many of their caches, are in which state, as the watches of the replica
/// that leads show them: kept up to date with each change, so that a scrape looks at no Dataset.
#[derive(Debug, Default)]
pub(in crate::controller) struct States {
    pub(in crate::controller) datasets: Counts,
    pub(in crate::controller) caches: Counts,
}

impl States {
    /// A Dataset as it is now.
    pub(in crate::controller) fn apply(&self, group: ApiGroup, name: &Name, dataset: &Dataset) {
        self.datasets.set(group, name, Some(state(dataset)));
        self.caches.set(group, name, cache_state(dataset));
    }

    /// A Dataset that is gone.
    pub(in crate::controller) fn delete(&self, group: ApiGroup, name: &Name) {
        self.datasets.set(group, name, None);
        self.caches.set(group, name, None);
    }

    /// All Datasets of a group: what is not among them is gone.
    pub(in crate::controller) fn keep_only(&self, group: ApiGroup, listed: &HashSet<Name>) {
        self.datasets.keep_only(group, listed);
        self.caches.keep_only(group, listed);
    }

    /// This replica leads no longer.
    pub(in crate::controller) fn clear(&self) {
        self.datasets.clear();
        self.caches.clear();
    }
}

/// How many are in which state.
#[derive(Debug, Default)]
pub(in crate::controller) struct Counts {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    states: HashMap<(ApiGroup, Name), Arc<str>>,
    counts: BTreeMap<Arc<str>, i64>,
}

impl Counts {
    /// The state that one is in now, if it is in any.
    fn set(&self, group: ApiGroup, name: &Name, state: Option<&str>) {
        let mut inner = self.lock();
        inner.remove(group, name);
        let Some(state) = state else { return };
        let state = inner.known(state);
        *inner.counts.entry(Arc::clone(&state)).or_default() += 1;
        inner.states.insert((group, name.clone()), state);
    }

    fn keep_only(&self, group: ApiGroup, listed: &HashSet<Name>) {
        let mut inner = self.lock();
        let gone: Vec<Name> = inner
            .states
            .keys()
            .filter(|(of, name)| *of == group && !listed.contains(name))
            .map(|(_, name)| name.clone())
            .collect();
        for name in gone {
            inner.remove(group, &name);
        }
    }

    fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// How many are in which state.
    pub(in crate::controller) fn shown(&self) -> Vec<(String, i64)> {
        let inner = self.lock();
        let counts = inner.counts.iter();
        counts
            .map(|(state, count)| (state.to_string(), *count))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, group: ApiGroup, name: &Name) {
        let Some(state) = self.states.remove(&(group, name.clone())) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(&state) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&state);
            }
        }
    }

    /// The one shared copy of a state.
    fn known(&self, state: &str) -> Arc<str> {
        match self.counts.get_key_value(state) {
            Some((known, _)) => Arc::clone(known),
            None if self.counts.len() < STATES_MAX => state.into(),
            None => OTHER.into(),
        }
    }
}

fn state(dataset: &Dataset) -> &str {
    if dataset.metadata.deletion_timestamp.is_some() {
        return "Deleting";
    }
    said_by(dataset, ConditionType::Ready).unwrap_or("New")
}

/// None where nothing is to be said of a cache.
fn cache_state(dataset: &Dataset) -> Option<&str> {
    said_by(dataset, ConditionType::CacheReady)
}

/// What a condition says: `Ready`, or why not.
fn said_by(dataset: &Dataset, kind: ConditionType) -> Option<&str> {
    let mut conditions = dataset.status.iter().flat_map(|status| &status.conditions);
    let found = conditions.find(|condition| condition.type_ == kind.as_str())?;
    Some(if found.status == "True" {
        "Ready"
    } else {
        &found.reason
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HPSYS: ApiGroup = ApiGroup::Hpsys;

    fn dataset(kind: &str, status: &str, reason: &str) -> Dataset {
        serde_json::from_value(json!({
            "metadata": { "name": "x" },
            "status": { "conditions": [{
                "type": kind, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        }))
        .unwrap()
    }

    fn name(name: &str) -> Name {
        ("ns".to_owned(), name.to_owned())
    }

    #[test]
    fn each_dataset_is_in_one_state_and_leaves_nothing_behind() {
        let states = States::default();
        let (a, b) = (name("a"), name("b"));
        states.apply(HPSYS, &a, &dataset("Ready", "False", "NoSuchBucket"));
        states.apply(HPSYS, &a, &dataset("Ready", "True", "Ready"));
        states.apply(ApiGroup::Datashim, &a, &Dataset::default());
        states.apply(HPSYS, &b, &dataset("Ready", "True", "Ready"));
        let counts = [("New".to_owned(), 1), ("Ready".to_owned(), 2)];
        assert_eq!(states.datasets.shown(), counts);
        states.keep_only(HPSYS, &HashSet::from([b.clone()]));
        states.delete(ApiGroup::Datashim, &a);
        states.delete(HPSYS, &b);
        assert!(states.datasets.shown().is_empty());
        assert!(states.datasets.lock().states.is_empty());
    }

    #[test]
    fn a_cache_is_in_the_state_that_its_condition_names_while_there_is_one() {
        let states = States::default();
        let a = name("a");
        let cached = |status, reason| dataset("CacheReady", status, reason);
        states.apply(HPSYS, &a, &cached("False", "Deploying"));
        assert_eq!(states.caches.shown(), [("Deploying".to_owned(), 1)]);
        states.apply(HPSYS, &a, &cached("True", "CacheReady"));
        assert_eq!(states.caches.shown(), [("Ready".to_owned(), 1)]);
        states.apply(HPSYS, &a, &Dataset::default());
        assert!(states.caches.shown().is_empty());
    }

    #[test]
    fn reasons_beyond_the_bound_are_counted_together() {
        let counts = Counts::default();
        for number in 0..STATES_MAX + 10 {
            let reason = format!("Reason{number}");
            counts.set(HPSYS, &name(&number.to_string()), Some(&reason));
        }
        let shown = counts.shown();
        assert!(shown.len() <= STATES_MAX + 1, "{}", shown.len());
        assert!(shown.contains(&(OTHER.to_owned(), 10)), "{shown:?}");
    }
}
