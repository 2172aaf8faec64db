//! Names and labels of what a dataset makes.

use std::collections::BTreeMap;

use dlf_core::{
    api::{ApiGroup, Dataset},
    names::{LABEL_DATASET_NAME, LABEL_DATASET_NAMESPACE, LABEL_DATASET_UID, volume_handle},
};
use kube::ResourceExt;

use super::{
    context::references::Referrer,
    error::ReconcileError,
    owned::{ObjectKey, OwnedKind},
};

/// Who a dataset is; everything it makes is named after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its group.
    pub group: ApiGroup,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Identity {
    /// Of a Dataset of this group.
    pub fn of(dataset: &Dataset, group: ApiGroup) -> Result<Self, ReconcileError> {
        Ok(Self {
            group,
            namespace: dataset
                .namespace()
                .ok_or(ReconcileError::Incomplete("namespace"))?,
            name: dataset.name_any(),
            uid: dataset.uid().ok_or(ReconcileError::Incomplete("uid"))?,
        })
    }

    /// Its name for what wakes it.
    #[must_use]
    pub fn referrer(&self) -> Referrer {
        (self.group, self.namespace.clone(), self.name.clone())
    }

    /// Labels of everything it makes.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            (LABEL_DATASET_UID, self.uid.clone()),
            (LABEL_DATASET_NAMESPACE, self.namespace.clone()),
            (LABEL_DATASET_NAME, self.name.clone()),
        ])
    }

    /// Handle of its volume, and name of what has to be unique in the cluster.
    #[must_use]
    pub fn handle(&self) -> String {
        volume_handle(&self.uid)
    }

    /// Secret beside the Dataset that holds keys written into it.
    #[must_use]
    pub fn source_secret(&self) -> String {
        format!("{}-source", self.name)
    }

    fn beside(&self, kind: OwnedKind, name: String) -> ObjectKey {
        ObjectKey {
            kind,
            namespace: self.namespace.clone(),
            name,
        }
    }

    /// The claim pods mount.
    #[must_use]
    pub fn claim(&self) -> ObjectKey {
        self.beside(OwnedKind::Claim, self.name.clone())
    }

    /// The volume bound to it.
    #[must_use]
    pub fn volume(&self) -> ObjectKey {
        ObjectKey {
            kind: OwnedKind::Volume,
            namespace: String::new(),
            name: self.handle(),
        }
    }

    /// What `configmap` pods see.
    #[must_use]
    pub fn config_map(&self) -> ObjectKey {
        self.beside(OwnedKind::ConfigMap, self.name.clone())
    }

    /// What `configmap` pods see, with keys.
    #[must_use]
    pub fn consumer_secret(&self) -> ObjectKey {
        self.beside(OwnedKind::Secret, self.name.clone())
    }

    /// Keys written into the Dataset.
    #[must_use]
    pub fn inline_keys(&self) -> ObjectKey {
        self.beside(OwnedKind::Secret, self.source_secret())
    }

    /// Resolved origins and keys, in the operator's namespace.
    #[must_use]
    pub fn resolved_secret(&self, operator_namespace: &str) -> ObjectKey {
        ObjectKey {
            kind: OwnedKind::Secret,
            namespace: operator_namespace.to_owned(),
            name: self.handle(),
        }
    }
}
