use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::{DynamicResourceScope, Resource, TypeMeta};
use serde::{Deserialize, Serialize};

use super::{ApiGroup, DatasetSpec, DatasetStatus, group::VERSION, object::Object};

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

impl From<Object> for DatasetInternal {
    fn from(object: Object) -> Self {
        let Object {
            types,
            metadata,
            spec,
            status,
        } = object;
        Self {
            types,
            metadata,
            spec,
            status,
        }
    }
}

impl Resource for DatasetInternal {
    type DynamicType = ApiGroup;
    type Scope = DynamicResourceScope;

    fn kind(_: &ApiGroup) -> Cow<'_, str> {
        Self::KIND.into()
    }
    fn group(group: &ApiGroup) -> Cow<'_, str> {
        group.name().into()
    }
    fn version(_: &ApiGroup) -> Cow<'_, str> {
        VERSION.into()
    }
    fn plural(_: &ApiGroup) -> Cow<'_, str> {
        Self::PLURAL.into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
