use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::TypeMeta;
use serde::{Deserialize, Serialize};

use super::{
    DatasetSpec, DatasetStatus,
    object::{Object, kind_of_either_group},
};

/// Where data lives and how it is to be served. Of either group: the group is its dynamic type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Object")]
pub struct Dataset {
    /// `apiVersion` and `kind`; absent in the items of a list.
    #[serde(flatten)]
    pub types: Option<TypeMeta>,
    /// Name, namespace, labels and the rest.
    pub metadata: ObjectMeta,
    /// What the user asked for.
    pub spec: DatasetSpec,
    /// What the operator found and made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DatasetStatus>,
}

impl Dataset {
    /// The kind's name.
    pub const KIND: &str = "Dataset";
    /// The kind's plural, as in paths and role rules.
    pub const PLURAL: &str = "datasets";
}

kind_of_either_group!(Dataset);
