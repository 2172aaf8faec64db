use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use dlf_core::api::ApiGroup;

/// A dataset by group, namespace and name.
pub(super) type Referrer = (ApiGroup, String, String);
type SecretKey = (String, String);

/// Which datasets a Secret matters to, so that a change of it wakes them and nobody else.
#[derive(Clone, Debug, Default)]
pub struct SecretReferences {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    referrers: HashMap<SecretKey, BTreeSet<Referrer>>,
    refers: HashMap<Referrer, BTreeSet<SecretKey>>,
}

impl SecretReferences {
    /// The Secrets of its namespace that a dataset names now.
    pub fn set(&self, referrer: &Referrer, names: impl IntoIterator<Item = String>) {
        let now: BTreeSet<SecretKey> = names
            .into_iter()
            .map(|name| (referrer.1.clone(), name))
            .collect();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in inner
            .refers
            .remove(referrer)
            .unwrap_or_default()
            .difference(&now)
        {
            if let Some(referrers) = inner.referrers.get_mut(gone) {
                referrers.remove(referrer);
                if referrers.is_empty() {
                    inner.referrers.remove(gone);
                }
            }
        }
        for key in &now {
            inner
                .referrers
                .entry(key.clone())
                .or_default()
                .insert(referrer.clone());
        }
        if !now.is_empty() {
            inner.refers.insert(referrer.clone(), now);
        }
    }

    /// The datasets a Secret matters to.
    #[must_use]
    pub fn of(&self, namespace: &str, name: &str) -> Vec<Referrer> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        inner
            .referrers
            .get(&key)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_is_woken_by_the_secrets_it_names_now_and_by_no_others() {
        let references = SecretReferences::default();
        let dataset = (ApiGroup::Hpsys, "ns".to_owned(), "books".to_owned());
        references.set(&dataset, ["a".to_owned(), "b".to_owned()]);
        references.set(&dataset, ["b".to_owned(), "c".to_owned()]);
        assert!(references.of("ns", "a").is_empty());
        assert_eq!(references.of("ns", "c"), std::slice::from_ref(&dataset));
        references.set(&dataset, []);
        let inner = references.inner.lock().unwrap();
        assert!(inner.referrers.is_empty() && inner.refers.is_empty());
    }
}
