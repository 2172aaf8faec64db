use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::names::{LABEL_DATASET_NAME, LABEL_DATASET_NAMESPACE, LABEL_DATASET_UID};
use kube::{Resource, ResourceExt};

use super::{
    ASKED_ANNOTATION, BOUND_ANNOTATION, HASH_ANNOTATION, ObjectKey, OwnedKind, SIZE_ANNOTATION,
};

/// What is remembered of an owned object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The dataset it belongs to.
    pub dataset_uid: String,
    /// Namespace and name of that dataset.
    pub dataset: (String, String),
    /// Its own uid.
    pub uid: String,
    /// Whether it is on its way out.
    pub terminating: bool,
    /// A claim's size as it was made.
    pub size: Option<String>,
    /// Whether Kubernetes has bound a claim.
    pub bound: bool,
    /// The volume that Kubernetes was last asked to bind a claim to, by its uid.
    pub asked_for: Option<String>,
    /// The version that we made it in; none after a restart.
    made: Option<String>,
    hash: String,
    version: String,
    /// The version our own last write gave; none after a restart, when the hash is trusted.
    written: Option<String>,
}

impl Owned {
    /// What is remembered of this object; none when it is no dataset's.
    pub(super) fn of(object: &impl Resource) -> Option<Self> {
        let labels = object.labels();
        let label = |name: &str| labels.get(name).cloned();
        Some(Self {
            dataset_uid: label(LABEL_DATASET_UID)?,
            dataset: (label(LABEL_DATASET_NAMESPACE)?, label(LABEL_DATASET_NAME)?),
            uid: object.uid().unwrap_or_default(),
            terminating: object.meta().deletion_timestamp.is_some(),
            size: object.annotations().get(SIZE_ANNOTATION).cloned(),
            bound: object.annotations().contains_key(BOUND_ANNOTATION),
            asked_for: object.annotations().get(ASKED_ANNOTATION).cloned(),
            made: None,
            hash: object
                .annotations()
                .get(HASH_ANNOTATION)
                .cloned()
                .unwrap_or_default(),
            version: object.resource_version().unwrap_or_default(),
            written: None,
        })
    }

    /// Whether it is what `hash` stands for and nobody else has touched it since.
    #[must_use]
    pub fn is_as_applied(&self, hash: &str) -> bool {
        self.hash == hash
            && self
                .written
                .as_ref()
                .is_none_or(|written| *written == self.version)
    }

    /// Whether it is the same object in a later version. Versions of one object grow
    /// (KEP-5504, "Comparable Resource Version").
    fn is_newer(&self, other: &Self) -> bool {
        let number = |owned: &Self| owned.version.parse::<u64>().ok();
        self.uid == other.uid && number(self) > number(other)
    }

    /// Whether somebody else has written it since we made it: of a volume, that Kubernetes' binder
    /// knows it.
    #[must_use]
    pub fn is_known_to_others(&self) -> bool {
        self.made.as_ref() != Some(&self.version)
    }
}

/// Owned objects by key, as the watches show them.
#[derive(Clone, Debug, Default)]
pub struct OwnedIndex {
    objects: Arc<Mutex<HashMap<ObjectKey, Owned>>>,
    /// The operator's own namespace.
    namespace: Arc<str>,
}

impl OwnedIndex {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self {
            objects: Arc::default(),
            namespace: namespace.into(),
        }
    }

    /// Whether an object can be what it says: labels are anybody's to write, and in a namespace of his a
    /// tenant would have the Datasets of others looked at as often as he likes.
    fn is_believed(&self, key: &ObjectKey, owned: &Owned) -> bool {
        key.namespace.is_empty()
            || key.namespace == owned.dataset.0
            || *key.namespace == *self.namespace
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Owned>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object, if it is a dataset's.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Owned> {
        self.lock().get(key).cloned()
    }

    /// An object as the watch shows it; gives the dataset to wake when somebody else changed it.
    pub fn apply(&self, kind: OwnedKind, object: &impl Resource) -> Option<(String, String)> {
        let key = key_of(kind, object);
        let mut owned = Owned::of(object).filter(|owned| self.is_believed(&key, owned))?;
        let mut objects = self.lock();
        if let Some(before) = objects.get(&key) {
            owned.written.clone_from(&before.written);
            owned.made.clone_from(&before.made);
        }
        let foreign_hand = owned.terminating || owned.written.as_ref() != Some(&owned.version);
        let dataset = owned.dataset.clone();
        objects.insert(key, owned);
        foreign_hand.then_some(dataset)
    }

    /// An object that is gone; gives the dataset to wake.
    pub fn delete(&self, kind: OwnedKind, object: &impl Resource) -> Option<(String, String)> {
        self.lock()
            .remove(&key_of(kind, object))
            .map(|owned| owned.dataset)
    }

    /// After a new list: forgets what is not in it; gives the datasets to wake.
    #[must_use]
    pub fn keep_only(
        &self,
        kind: OwnedKind,
        listed: &HashSet<(String, String)>,
    ) -> Vec<(String, String)> {
        let mut gone = Vec::new();
        self.lock().retain(|key, owned| {
            let there =
                key.kind != kind || listed.contains(&(key.namespace.clone(), key.name.clone()));
            if !there {
                gone.push(owned.dataset.clone());
            }
            there
        });
        gone
    }

    /// Notes that Kubernetes was asked to bind a claim to the volume of this uid.
    pub(super) fn asked(&self, claim: &ObjectKey, volume: &str) {
        if let Some(owned) = self.lock().get_mut(claim) {
            owned.asked_for = Some(volume.to_owned());
        }
    }

    /// An object as our own write left it.
    pub(super) fn wrote(&self, key: &ObjectKey, object: &impl Resource) {
        if let Some(mut owned) = Owned::of(object) {
            let ours = Some(owned.version.clone());
            owned.written = if key.kind.can_drift() {
                ours.clone()
            } else {
                None
            };
            let mut objects = self.lock();
            if let Some(newer) = objects.get(key).filter(|shown| shown.is_newer(&owned)) {
                // The watch was faster, and shows what somebody has made of it since.
                owned = Owned {
                    written: owned.written,
                    ..newer.clone()
                };
            }
            owned.made = ours;
            objects.insert(key.clone(), owned);
        }
    }
}

fn key_of(kind: OwnedKind, object: &impl Resource) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume};
    use serde_json::json;

    use super::*;

    fn volume(version: &str) -> PersistentVolume {
        serde_json::from_value(json!({ "metadata": {
            "name": "dlf-1", "uid": "v", "resourceVersion": version, "labels": {
                LABEL_DATASET_UID: "1", LABEL_DATASET_NAMESPACE: "ns", LABEL_DATASET_NAME: "books",
            },
        }}))
        .unwrap()
    }

    #[test]
    fn labels_in_a_namespace_of_somebody_else_wake_nobody() {
        let labelled = |namespace: &str| -> ConfigMap {
            serde_json::from_value(json!({ "metadata": {
                "name": "books", "namespace": namespace, "uid": "m", "labels": {
                    LABEL_DATASET_UID: "1", LABEL_DATASET_NAMESPACE: "ns", LABEL_DATASET_NAME: "books",
                },
            }}))
            .unwrap()
        };
        let index = OwnedIndex::new("dlf-system");
        let woken = |namespace: &str| {
            let object = labelled(namespace);
            let applied = index.apply(OwnedKind::ConfigMap, &object);
            (
                applied.is_some(),
                index.delete(OwnedKind::ConfigMap, &object).is_some(),
            )
        };
        assert_eq!(woken("tenant"), (false, false));
        assert_eq!(woken("ns"), (true, true));
        assert_eq!(woken("dlf-system"), (true, true), "keys are kept there");
    }

    #[test]
    fn a_volume_is_known_to_others_once_one_of_them_has_written_it() {
        let key = ObjectKey {
            kind: OwnedKind::Volume,
            namespace: String::new(),
            name: "dlf-1".to_owned(),
        };
        let known = |index: &OwnedIndex| index.get(&key).unwrap().is_known_to_others();
        let index = OwnedIndex::default();
        index.wrote(&key, &volume("7"));
        assert!(!known(&index));
        index.apply(OwnedKind::Volume, &volume("7"));
        assert!(!known(&index), "the watch shows what we made");
        index.apply(OwnedKind::Volume, &volume("9"));
        assert!(known(&index));

        let index = OwnedIndex::default();
        index.apply(OwnedKind::Volume, &volume("9"));
        index.wrote(&key, &volume("7"));
        assert!(known(&index), "the watch was faster than the answer");

        let index = OwnedIndex::default();
        index.apply(OwnedKind::Volume, &volume("7"));
        assert!(known(&index), "made before this operator started");
    }
}
