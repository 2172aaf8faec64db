//! Objects a dataset makes: what the watches show of them, and writing them without a write too
//! many.

mod index;
mod kind;
mod restored;

use dlf_core::names::LABEL_DATASET_UID;
use kube::{
    Client, ResourceExt,
    api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use index::{Owned, OwnedIndex};
pub use kind::OwnedKind;
pub use restored::Owner;

/// Under this name the operator owns the fields it applies.
pub const FIELD_MANAGER: &str = "dlf-operator";
/// Annotation: hash of what was last applied.
pub const HASH_ANNOTATION: &str = "dlf.dev/applied";

/// Annotation of a claim: the size it was made with.
pub const SIZE_ANNOTATION: &str = "dlf.dev/size";

/// Annotation of a claim: uid of the volume that Kubernetes was asked to bind it to.
const ASKED_ANNOTATION: &str = "dlf.dev/volume-made";
/// Annotation that Kubernetes gives to a claim it has bound.
const BOUND_ANNOTATION: &str = "pv.kubernetes.io/bind-completed";

/// What became of an object that should exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was as it should be.
    Unchanged,
    /// It was made or changed.
    Written,
    /// One of that name exists and is not this dataset's: left alone.
    Foreign,
    /// It is on its way out; it is made again when it has gone.
    Terminating,
}

/// Where an object belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: OwnedKind,
    /// Its namespace; empty for a PersistentVolume.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Writes owned objects.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    index: OwnedIndex,
}

impl Writer {
    /// A writer that looks into `index` before it asks the API server.
    #[must_use]
    pub const fn new(client: Client, index: OwnedIndex) -> Self {
        Self { client, index }
    }

    /// What the watches show.
    #[must_use]
    pub const fn index(&self) -> &OwnedIndex {
        &self.index
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        let resource = key.kind.resource();
        if key.namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &key.namespace, &resource)
        }
    }

    /// Makes the object exist as `desired`, which carries the dataset's labels.
    ///
    /// # Errors
    /// What the API server answered, unless it is a conflict of names.
    pub async fn ensure(
        &self,
        key: &ObjectKey,
        mut desired: Value,
        whose: &Owner,
    ) -> Result<Ensured, kube::Error> {
        let hash = fingerprint(&desired);
        desired["metadata"]["annotations"][HASH_ANNOTATION] = Value::String(hash.clone());
        let uid = whose.uid.as_str();
        match self.index.get(key) {
            Some(owned) if whose.left_behind(&owned) => restored::replace(self, key, &owned).await,
            Some(owned) if owned.dataset_uid != uid => Ok(Ensured::Foreign),
            Some(owned) if owned.terminating => Ok(Ensured::Terminating),
            Some(owned) if owned.is_as_applied(&hash) => Ok(Ensured::Unchanged),
            Some(_) => self.patch(key, &desired).await,
            None => self.create(key, &desired, uid).await,
        }
    }

    async fn create(
        &self,
        key: &ObjectKey,
        desired: &Value,
        uid: &str,
    ) -> Result<Ensured, kube::Error> {
        let object: DynamicObject =
            serde_json::from_value(desired.clone()).map_err(kube::Error::SerdeError)?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        match self.api(key).create(&params, &object).await {
            Ok(made) => {
                self.index.wrote(key, &made);
                Ok(Ensured::Written)
            }
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                self.adopt(key, desired, uid).await
            }
            Err(error) => Err(error),
        }
    }

    /// An object the watches do not show yet, or somebody else's.
    async fn adopt(
        &self,
        key: &ObjectKey,
        desired: &Value,
        uid: &str,
    ) -> Result<Ensured, kube::Error> {
        let Some(found) = self.api(key).get_metadata_opt(&key.name).await? else {
            return Ok(Ensured::Terminating);
        };
        if found.labels().get(LABEL_DATASET_UID).map(String::as_str) != Some(uid) {
            return Ok(Ensured::Foreign);
        }
        if found.metadata.deletion_timestamp.is_some() {
            return Ok(Ensured::Terminating);
        }
        self.patch(key, desired).await
    }

    async fn patch(&self, key: &ObjectKey, desired: &Value) -> Result<Ensured, kube::Error> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let written = self
            .api(key)
            .patch(&key.name, &params, &Patch::Apply(desired))
            .await?;
        self.index.wrote(key, &written);
        Ok(Ensured::Written)
    }

    /// Has Kubernetes' binder look at a claim that waits for its volume, which it does every 15 s or
    /// when the claim changes: so it is changed, once for a volume, and not before the binder knows
    /// that volume (it has written its phase).
    ///
    /// # Errors
    /// What the API server answered.
    pub async fn have_bound(
        &self,
        claim: &ObjectKey,
        volume: &ObjectKey,
    ) -> Result<(), kube::Error> {
        let (Some(waiting), Some(volume)) = (self.index.get(claim), self.index.get(volume)) else {
            return Ok(());
        };
        let asked = waiting.asked_for.as_ref() == Some(&volume.uid);
        if waiting.bound || asked || !volume.is_known_to_others() {
            return Ok(());
        }
        let patch =
            serde_json::json!({ "metadata": { "annotations": { ASKED_ANNOTATION: volume.uid } } });
        self.api(claim)
            .patch_metadata(&claim.name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        self.index.asked(claim, &volume.uid);
        Ok(())
    }

    /// Deletes the object if it is this dataset's; true once it is gone.
    ///
    /// # Errors
    /// What the API server answered.
    pub async fn remove(&self, key: &ObjectKey, uid: &str) -> Result<bool, kube::Error> {
        let found = match self.index.get(key) {
            Some(shown) => shown,
            // A watch that has just begun does not show it yet.
            None => match self.api(key).get_metadata_opt(&key.name).await? {
                Some(found) => match Owned::of(&found) {
                    Some(owned) => owned,
                    None => return Ok(true),
                },
                None => return Ok(true),
            },
        };
        if found.dataset_uid != uid {
            return Ok(true);
        }
        if found.terminating {
            return Ok(false);
        }
        self.delete(key, found.uid).await
    }

    /// Deletes the object of this uid; true once it is gone.
    async fn delete(&self, key: &ObjectKey, uid: String) -> Result<bool, kube::Error> {
        let params = DeleteParams::default().preconditions(kube::api::Preconditions {
            uid: Some(uid),
            resource_version: None,
        });
        match self.api(key).delete(&key.name, &params).await {
            Ok(outcome) => Ok(outcome.is_right()),
            // A conflict is with another object, which has the name by now.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Hash of an object as it should be: the same for the same content, whatever the key order.
#[must_use]
pub fn fingerprint(value: &Value) -> String {
    hex::encode(&Sha256::digest(value.to_string().as_bytes())[..8])
}
