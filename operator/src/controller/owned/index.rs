use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::names::{LABEL_DATASET_NAME, LABEL_DATASET_NAMESPACE, LABEL_DATASET_UID};
use kube::{Resource, ResourceExt};

use super::{HASH_ANNOTATION, ObjectKey, OwnedKind, SIZE_ANNOTATION};

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
}

/// Owned objects by key, as the watches show them.
#[derive(Clone, Debug, Default)]
pub struct OwnedIndex {
    objects: Arc<Mutex<HashMap<ObjectKey, Owned>>>,
}

impl OwnedIndex {
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
        let mut owned = Owned::of(object)?;
        let mut objects = self.lock();
        owned.written = objects.get(&key).and_then(|before| before.written.clone());
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

    /// An object as our own write left it.
    pub(super) fn wrote(&self, key: &ObjectKey, object: &impl Resource) {
        if let Some(mut owned) = Owned::of(object) {
            owned.written = key.kind.can_drift().then(|| owned.version.clone());
            self.lock().insert(key.clone(), owned);
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
