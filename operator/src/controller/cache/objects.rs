//! Objects of caches as the watches show them, whole: plugins are shown what they planned.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::names::{LABEL_DATASET_NAME, LABEL_DATASET_NAMESPACE, LABEL_DATASET_UID};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
};

use serde_json::Value;

use crate::waker::Name;

/// Kinds that a cache is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CacheKind {
    /// Pods that are alike.
    Deployment,
    /// Pods that keep what they have.
    StatefulSet,
    /// Where they answer.
    Service,
    /// How they are configured.
    ConfigMap,
    /// Where they keep it.
    Claim,
    /// Who may reach them: the operator's own, no plugin plans it.
    NetworkPolicy,
    /// The source's keys: the operator's own, too. What stands in one is not kept here.
    Secret,
}

impl CacheKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::Service,
        Self::ConfigMap,
        Self::Claim,
        Self::NetworkPolicy,
        Self::Secret,
    ];

    /// Whether the operator makes it, and no plugin plans it or is shown it.
    #[must_use]
    pub const fn is_the_operators(self) -> bool {
        matches!(self, Self::NetworkPolicy | Self::Secret)
    }

    /// Group, version, kind and plural.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::Claim => ApiResource::erase::<PersistentVolumeClaim>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
        }
    }

    /// The kind of an object by its two names.
    #[must_use]
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| {
            let resource = known.resource();
            resource.api_version == api_version && resource.kind == kind
        })
    }

    /// Its name, if objects of it make pods.
    pub(super) const fn of_pods(self) -> Option<&'static str> {
        match self {
            Self::Deployment => Some("Deployment"),
            Self::StatefulSet => Some("StatefulSet"),
            _ => None,
        }
    }

    /// Whether the version of its spec stands in its generation: Kubernetes writes the status of
    /// these all the time, and of the others hardly ever.
    const fn has_generation(self) -> bool {
        matches!(
            self,
            Self::Deployment | Self::StatefulSet | Self::NetworkPolicy
        )
    }

    /// The object without what is in a Secret.
    fn without_secrets(self, mut object: DynamicObject) -> DynamicObject {
        if self == Self::Secret {
            object.data = Value::Null;
        }
        object
    }

    /// What changes when somebody edits an object; none where that cannot be told.
    pub(super) fn edition(self, object: &DynamicObject) -> Option<String> {
        match self {
            Self::Claim => None,
            _ if self.has_generation() => {
                object.metadata.generation.map(|number| number.to_string())
            }
            _ => object.resource_version(),
        }
    }
}

/// An object of a cache by kind and name.
pub type CacheKey = (CacheKind, String);

/// An object, and in which edition we wrote it last.
#[derive(Clone, Debug)]
pub struct CacheObject {
    /// As the API server has it.
    pub object: Arc<DynamicObject>,
    /// None after a restart, when what it says of itself is trusted.
    pub(super) written: Option<String>,
}

/// Objects of caches by their dataset's uid.
#[derive(Clone, Debug, Default)]
pub struct CacheObjects {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    datasets: HashMap<String, BTreeMap<CacheKey, CacheObject>>,
    listed: HashSet<CacheKind>,
}

impl CacheObjects {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything there is was shown once.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.lock().listed.len() == CacheKind::ALL.len()
    }

    /// Objects of a dataset's cache.
    #[must_use]
    pub fn of(&self, uid: &str) -> BTreeMap<CacheKey, CacheObject> {
        self.lock().datasets.get(uid).cloned().unwrap_or_default()
    }

    /// An object as the watch shows it; gives the dataset to wake.
    pub(in crate::controller) fn apply(
        &self,
        kind: CacheKind,
        object: DynamicObject,
    ) -> Option<Name> {
        let object = kind.without_secrets(object);
        let (uid, dataset) = owner(&object)?;
        let key = (kind, object.name_any());
        let mut inner = self.lock();
        let objects = inner.datasets.entry(uid).or_default();
        let written = objects.get(&key).and_then(|known| known.written.clone());
        let object = Arc::new(object);
        objects.insert(key, CacheObject { object, written });
        Some(dataset)
    }

    /// An object as our own write left it.
    pub(super) fn wrote(&self, kind: CacheKind, object: DynamicObject) {
        let object = kind.without_secrets(object);
        let Some((uid, _)) = owner(&object) else {
            return;
        };
        let key = (kind, object.name_any());
        let written = kind.edition(&object);
        let mut inner = self.lock();
        let objects = inner.datasets.entry(uid).or_default();
        // The watch may have been faster, and shows what has become of it since.
        let shown = objects.get(&key).map(|known| Arc::clone(&known.object));
        let object = shown
            .filter(|shown| is_newer(shown, &object))
            .unwrap_or_else(|| Arc::new(object));
        objects.insert(key, CacheObject { object, written });
    }

    /// An object that is gone; gives the dataset to wake.
    pub(in crate::controller) fn delete(
        &self,
        kind: CacheKind,
        object: &DynamicObject,
    ) -> Option<Name> {
        let (uid, dataset) = owner(object)?;
        let mut inner = self.lock();
        let objects = inner.datasets.get_mut(&uid)?;
        objects.remove(&(kind, object.name_any()));
        if objects.is_empty() {
            inner.datasets.remove(&uid);
        }
        Some(dataset)
    }

    /// After a new list: forgets what is not in it; gives the datasets to wake.
    pub(in crate::controller) fn keep_only(
        &self,
        kind: CacheKind,
        listed: &HashSet<Name>,
    ) -> Vec<Name> {
        let names: HashSet<&str> = listed.iter().map(|(_, name)| name.as_str()).collect();
        let mut gone = Vec::new();
        let mut inner = self.lock();
        inner.listed.insert(kind);
        inner.datasets.retain(|_, objects| {
            objects.retain(|(of, name), known| {
                let stays = *of != kind || names.contains(name.as_str());
                if !stays {
                    gone.extend(owner(known.object.as_ref()).map(|(_, dataset)| dataset));
                }
                stays
            });
            !objects.is_empty()
        });
        gone
    }
}

/// Whether it is the same object in a later version. Versions of one object grow (KEP-5504,
/// "Comparable Resource Version").
fn is_newer(one: &DynamicObject, other: &DynamicObject) -> bool {
    let version = |object: &DynamicObject| object.resource_version()?.parse::<u64>().ok();
    one.metadata.uid == other.metadata.uid && version(one) > version(other)
}

/// The uid of an object's dataset, and that dataset's namespace and name.
fn owner(object: &impl Resource) -> Option<(String, Name)> {
    let label = |name: &str| object.labels().get(name).cloned();
    let dataset = (label(LABEL_DATASET_NAMESPACE)?, label(LABEL_DATASET_NAME)?);
    Some((label(LABEL_DATASET_UID)?, dataset))
}

#[cfg(test)]
mod tests {
    use dlf_core::plugin::policy;
    use serde_json::json;

    use super::*;

    fn deployment(name: &str, generation: i64) -> DynamicObject {
        serde_json::from_value(json!({ "metadata": {
            "name": name, "generation": generation, "labels": {
                LABEL_DATASET_UID: "1", LABEL_DATASET_NAMESPACE: "ns", LABEL_DATASET_NAME: "books",
            },
        }}))
        .unwrap()
    }

    #[test]
    fn whatever_a_plan_may_hold_is_watched() {
        for (api_version, kind) in policy::KINDS {
            assert!(CacheKind::of(api_version, kind).is_some(), "{kind}");
        }
    }

    #[test]
    fn objects_are_known_by_their_dataset_until_they_go() {
        let objects = CacheObjects::default();
        let books = Some(("ns".to_owned(), "books".to_owned()));
        let kind = CacheKind::Deployment;
        assert_eq!(objects.apply(kind, deployment("a", 1)), books);
        assert_eq!(objects.apply(kind, deployment("b", 1)), books);
        assert_eq!(objects.of("1").len(), 2);
        assert_eq!(objects.delete(kind, &deployment("a", 1)), books);
        assert!(!objects.is_listed());
        let gone = objects.keep_only(kind, &HashSet::new());
        assert_eq!(gone, [("ns".to_owned(), "books".to_owned())]);
        assert!(objects.of("1").is_empty());
        assert_eq!(
            objects.apply(kind, DynamicObject::new("x", &kind.resource())),
            None
        );
    }

    #[test]
    fn an_edit_by_somebody_else_is_seen_and_a_new_status_is_none() {
        let objects = CacheObjects::default();
        let kind = CacheKind::Deployment;
        let seen = || objects.of("1")[&(kind, "a".to_owned())].clone();
        objects.wrote(kind, deployment("a", 1));
        objects.apply(kind, deployment("a", 1));
        assert_eq!(seen().written, kind.edition(&seen().object));
        objects.apply(kind, deployment("a", 2));
        assert_ne!(seen().written, kind.edition(&seen().object));
    }
}
