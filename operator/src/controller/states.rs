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

/// How many Datasets are in which state, as the watches of the replica that leads show them: kept
/// up to date with each change, so that a scrape looks at no Dataset.
#[derive(Debug, Default)]
pub(super) struct States {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    states: HashMap<(ApiGroup, Name), Arc<str>>,
    counts: BTreeMap<Arc<str>, i64>,
}

impl States {
    /// A Dataset as it is now.
    pub(super) fn apply(&self, group: ApiGroup, name: Name, dataset: &Dataset) {
        let mut inner = self.lock();
        inner.remove(group, &name);
        let state = inner.known(state(dataset));
        *inner.counts.entry(Arc::clone(&state)).or_default() += 1;
        inner.states.insert((group, name), state);
    }

    /// A Dataset that is gone.
    pub(super) fn delete(&self, group: ApiGroup, name: &Name) {
        self.lock().remove(group, name);
    }

    /// All Datasets of a group: what is not among them is gone.
    pub(super) fn keep_only(&self, group: ApiGroup, listed: &HashSet<Name>) {
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

    /// This replica leads no longer.
    pub(super) fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// How many are in which state.
    pub(super) fn counts(&self) -> Vec<(String, i64)> {
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
    let conditions = dataset.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions
        .into_iter()
        .find(|condition| condition.type_ == ConditionType::Ready.as_str());
    match ready {
        Some(ready) if ready.status == "True" => "Ready",
        Some(ready) => &ready.reason,
        None => "New",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HPSYS: ApiGroup = ApiGroup::Hpsys;

    fn dataset(status: &str, reason: &str) -> Dataset {
        serde_json::from_value(json!({
            "metadata": { "name": "x" },
            "status": { "conditions": [{
                "type": "Ready", "status": status, "reason": reason, "message": "",
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
        states.apply(HPSYS, name("a"), &dataset("False", "NoSuchBucket"));
        states.apply(HPSYS, name("a"), &dataset("True", "Ready"));
        states.apply(ApiGroup::Datashim, name("a"), &Dataset::default());
        states.apply(HPSYS, name("b"), &dataset("True", "Ready"));
        let counts = [("New".to_owned(), 1), ("Ready".to_owned(), 2)];
        assert_eq!(states.counts(), counts);
        states.keep_only(HPSYS, &HashSet::from([name("b")]));
        states.delete(ApiGroup::Datashim, &name("a"));
        states.delete(HPSYS, &name("b"));
        assert!(states.counts().is_empty());
        assert!(states.lock().states.is_empty());
    }

    #[test]
    fn reasons_beyond_the_bound_are_counted_together() {
        let states = States::default();
        for number in 0..STATES_MAX + 10 {
            let text = number.to_string();
            states.apply(
                HPSYS,
                name(&text),
                &dataset("False", &format!("Reason{number}")),
            );
        }
        let counts = states.counts();
        assert!(counts.len() <= STATES_MAX + 1, "{}", counts.len());
        assert!(counts.contains(&(OTHER.to_owned(), 10)), "{counts:?}");
    }
}
