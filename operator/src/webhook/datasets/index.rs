use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use dlf_core::api::ApiGroup;

use super::Facts;

/// Facts by namespace and name, of both groups. Nothing waits and nothing scans.
#[derive(Debug, Default)]
pub struct Index {
    namespaces: RwLock<HashMap<String, HashMap<String, Twins>>>,
}

/// The Datasets of one name, one a group at most.
#[derive(Clone, Debug, Default)]
struct Twins {
    hpsys: Option<Arc<Facts>>,
    datashim: Option<Arc<Facts>>,
}

impl Twins {
    fn of(&self, group: ApiGroup) -> Option<&Arc<Facts>> {
        match group {
            ApiGroup::Hpsys => self.hpsys.as_ref(),
            ApiGroup::Datashim => self.datashim.as_ref(),
        }
    }

    fn of_mut(&mut self, group: ApiGroup) -> &mut Option<Arc<Facts>> {
        match group {
            ApiGroup::Hpsys => &mut self.hpsys,
            ApiGroup::Datashim => &mut self.datashim,
        }
    }

    fn is_empty(&self) -> bool {
        self.hpsys.is_none() && self.datashim.is_none()
    }
}

impl Index {
    /// A Dataset as it is now.
    pub fn apply(&self, group: ApiGroup, namespace: &str, name: &str, facts: Facts) {
        let mut namespaces = self
            .namespaces
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let names = namespaces.entry(namespace.to_owned()).or_default();
        *names.entry(name.to_owned()).or_default().of_mut(group) = Some(Arc::new(facts));
    }

    /// A Dataset that is gone.
    pub fn delete(&self, group: ApiGroup, namespace: &str, name: &str) {
        let mut namespaces = self
            .namespaces
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(names) = namespaces.get_mut(namespace) else {
            return;
        };
        if let Some(twins) = names.get_mut(name) {
            *twins.of_mut(group) = None;
            if twins.is_empty() {
                names.remove(name);
            }
        }
        if names.is_empty() {
            namespaces.remove(namespace);
        }
    }

    /// All Datasets of a group: what is not among them is gone.
    pub fn reset(&self, group: ApiGroup, datasets: Vec<(String, String, Facts)>) {
        let mut namespaces = self
            .namespaces
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for twins in namespaces.values_mut().flat_map(HashMap::values_mut) {
            *twins.of_mut(group) = None;
        }
        for (namespace, name, facts) in datasets {
            let names = namespaces.entry(namespace).or_default();
            *names.entry(name).or_default().of_mut(group) = Some(Arc::new(facts));
        }
        for names in namespaces.values_mut() {
            names.retain(|_, twins| !twins.is_empty());
        }
        namespaces.retain(|_, names| !names.is_empty());
    }

    /// The Dataset of this name that counts: the elder where both groups have one.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str) -> Option<Arc<Facts>> {
        let namespaces = self
            .namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let twins = namespaces.get(namespace)?.get(name)?;
        elder(twins.hpsys.clone(), twins.datashim.clone())
    }

    /// The Dataset of this name in a group.
    #[must_use]
    pub fn find_in(&self, group: ApiGroup, namespace: &str, name: &str) -> Option<Arc<Facts>> {
        let namespaces = self
            .namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces.get(namespace)?.get(name)?.of(group).cloned()
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let namespaces = self
            .namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces.values().map(HashMap::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Of two Datasets of one name the elder counts; made in the same second, the original's group.
pub(super) fn elder(hpsys: Option<Arc<Facts>>, datashim: Option<Arc<Facts>>) -> Option<Arc<Facts>> {
    match (hpsys, datashim) {
        (Some(hpsys), Some(datashim)) => Some(if datashim.created < hpsys.created {
            datashim
        } else {
            hpsys
        }),
        (hpsys, datashim) => hpsys.or(datashim),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn facts(second: u32) -> Facts {
        let created: Time =
            serde_json::from_value(serde_json::json!(format!("2026-01-01T00:00:{second:02}Z")))
                .unwrap();
        Facts {
            created: Some(created),
            mount_path: Some(format!("/{second}")),
            ..Facts::default()
        }
    }

    fn path(index: &Index) -> Option<String> {
        index
            .find("ns", "a")
            .and_then(|facts| facts.mount_path.clone())
    }

    #[test]
    fn the_elder_of_two_of_one_name_counts() {
        let index = Index::default();
        index.apply(ApiGroup::Datashim, "ns", "a", facts(2));
        assert_eq!(path(&index).as_deref(), Some("/2"));
        index.apply(ApiGroup::Hpsys, "ns", "a", facts(3));
        assert_eq!(path(&index).as_deref(), Some("/2"));
        index.apply(ApiGroup::Hpsys, "ns", "a", facts(2));
        assert_eq!(
            index.find("ns", "a"),
            index.find_in(ApiGroup::Hpsys, "ns", "a")
        );
        index.delete(ApiGroup::Datashim, "ns", "a");
        index.delete(ApiGroup::Hpsys, "ns", "a");
        assert!(index.is_empty() && index.namespaces.read().unwrap().is_empty());
    }

    #[test]
    fn a_reset_forgets_what_is_gone_and_leaves_the_other_group_alone() {
        let index = Index::default();
        index.apply(ApiGroup::Hpsys, "ns", "a", facts(1));
        index.apply(ApiGroup::Hpsys, "ns", "b", facts(1));
        index.apply(ApiGroup::Datashim, "other", "c", facts(1));
        index.reset(
            ApiGroup::Hpsys,
            vec![("ns".to_owned(), "b".to_owned(), facts(2))],
        );
        assert_eq!(index.find("ns", "a"), None);
        assert_eq!(
            index.find("ns", "b").map(|found| (*found).clone()),
            Some(facts(2))
        );
        assert!(index.find("other", "c").is_some());
        assert_eq!(index.len(), 2);
    }
}
