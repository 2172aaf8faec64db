use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::{DynamicResourceScope, Resource, TypeMeta};
use serde::{Deserialize, Serialize};

use super::{ApiGroup, DatasetSpec, DatasetStatus, group::VERSION, object::Object};

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

impl From<Object> for Dataset {
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

impl Resource for Dataset {
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
