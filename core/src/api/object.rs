use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::TypeMeta;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{DatasetSpec, DatasetStatus};

/// Either kind as it comes from the API server, whatever has slipped past its rules: a list with
/// one object that cannot be read would otherwise be no list, and that object stall all the others.
#[derive(Deserialize)]
pub(super) struct Object {
    #[serde(flatten, default)]
    pub(super) types: Option<TypeMeta>,
    pub(super) metadata: ObjectMeta,
    #[serde(default, deserialize_with = "spec")]
    pub(super) spec: DatasetSpec,
    #[serde(default, deserialize_with = "status")]
    pub(super) status: Option<DatasetStatus>,
}

/// Makes a resource of a kind with `types`, `metadata`, `spec` and `status`, whose group is its dynamic
/// type, and which is read as an [`Object`].
macro_rules! kind_of_either_group {
    ($kind:ident) => {
        impl From<$crate::api::object::Object> for $kind {
            fn from(object: $crate::api::object::Object) -> Self {
                let $crate::api::object::Object {
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

        impl kube_core::Resource for $kind {
            type DynamicType = $crate::api::ApiGroup;
            type Scope = kube_core::DynamicResourceScope;

            fn kind(_: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                Self::KIND.into()
            }
            fn group(group: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                group.name().into()
            }
            fn version(_: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                $crate::api::group::VERSION.into()
            }
            fn plural(_: &Self::DynamicType) -> std::borrow::Cow<'_, str> {
                Self::PLURAL.into()
            }
            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }
            fn meta_mut(
                &mut self,
            ) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }

        impl kube_core::object::HasStatus for $kind {
            type Status = $crate::api::DatasetStatus;

            fn status(&self) -> Option<&Self::Status> {
                self.status.as_ref()
            }
            fn status_mut(&mut self) -> &mut Option<Self::Status> {
                &mut self.status
            }
        }
    };
}

pub(super) use kind_of_either_group;

/// The spec, or what is wrong with it.
fn spec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DatasetSpec, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(DatasetSpec::default());
    }
    Ok(
        serde_json::from_value(value.clone()).unwrap_or_else(|error| DatasetSpec {
            unreadable: Some(fault(&value).unwrap_or_else(|| error.to_string())),
            ..DatasetSpec::default()
        }),
    )
}

/// The first part of a spec that cannot be read by itself, and why.
fn fault(spec: &Value) -> Option<String> {
    spec.as_object()?.iter().find_map(|(key, value)| {
        let alone = Value::Object([(key.clone(), value.clone())].into_iter().collect());
        let error = serde_json::from_value::<DatasetSpec>(alone).err()?;
        Some(format!("{key}: {error}"))
    })
}

/// The status, unless it is somebody else's idea of one: it is written anew.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DatasetStatus>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        api::{Dataset, DatasetInternal},
        source::Source,
    };

    #[test]
    fn an_object_that_slipped_in_is_read_and_says_what_is_wrong_with_it() {
        for (spec, named) in [
            (
                json!({ "local": { "type": "COS", "readonly": true } }),
                "local",
            ),
            (json!({ "cache": { "mode": "Sometimes" } }), "Sometimes"),
            (json!({ "mount": { "uid": -1 } }), "mount"),
            (json!("books"), "books"),
        ] {
            let object =
                json!({ "metadata": { "name": "x" }, "spec": spec, "status": { "conditions": 3 } });
            let dataset: Dataset = serde_json::from_value(object.clone()).unwrap();
            assert_eq!(dataset.status, None);
            let labels = std::collections::BTreeMap::new();
            let error = Source::parse(&dataset.spec, &labels, "ns").unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert_eq!(error.reason(), "InvalidSpec");
            assert!(serde_json::from_value::<DatasetInternal>(object).is_ok());
        }
    }

    #[test]
    fn an_object_without_a_spec_is_read() {
        let object = json!({ "metadata": { "name": "x" }, "spec": null });
        let dataset: Dataset = serde_json::from_value(object).unwrap();
        assert_eq!(dataset.spec.unreadable, None);
    }
}
