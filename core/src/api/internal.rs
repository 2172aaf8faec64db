use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::TypeMeta;
use serde::{Deserialize, Serialize};

use super::{
    DatasetSpec, DatasetStatus,
    object::{Object, kind_of_either_group},
};

/// What pods really use: the effective source, with references instead of inline keys. It has the
/// name, the namespace and the group of its Dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Object")]
pub struct DatasetInternal {
    /// `apiVersion` and `kind`; absent in the items of a list.
    #[serde(flatten)]
    pub types: Option<TypeMeta>,
    /// Name, namespace, labels and the rest.
    pub metadata: ObjectMeta,
    /// The effective source.
    pub spec: DatasetSpec,
    /// What the operator found and made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DatasetStatus>,
}

impl DatasetInternal {
    /// The kind's name.
    pub const KIND: &str = "DatasetInternal";
    /// The kind's plural, as in paths and role rules.
    pub const PLURAL: &str = "datasetsinternal";
}

kind_of_either_group!(DatasetInternal);
