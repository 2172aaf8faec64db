//! Objects of a plan, read as the API server reads them: as typed ones, which have no other fields.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim, Service},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Checks that each field of an object is one of its kind, and of the right type. Kinds that caches are not
/// made of are left to the policy.
///
/// # Errors
/// The path of the first field that is not, and whose it is.
pub(crate) fn check(object: &Value) -> Result<(), String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let kept = match kind {
        "Deployment" => reread::<Deployment>(object),
        "StatefulSet" => reread::<StatefulSet>(object),
        "Service" => reread::<Service>(object),
        "ConfigMap" => reread::<ConfigMap>(object),
        "PersistentVolumeClaim" => reread::<PersistentVolumeClaim>(object),
        _ => return Ok(()),
    };
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let kept = kept.map_err(|(path, why)| format!("{path} of {kind} {name}: {why}"))?;
    match lost(object, &kept) {
        None => Ok(()),
        Some(path) => Err(format!(
            "{path} of {kind} {name} is not a field that Kubernetes knows"
        )),
    }
}

/// What is left of an object once it was read as one of its kind; or the path of what cannot be read, and why.
fn reread<Kind: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, (String, String)> {
    let read: Kind = serde_path_to_error::deserialize(object)
        .map_err(|error| (error.path().to_string(), error.inner().to_string()))?;
    serde_json::to_value(read).map_err(|error| (".".to_owned(), error.to_string()))
}

/// The path of the first field that is not there any more. Values are not compared: a quantity may be a
/// number, and what is empty may vanish.
fn lost(given: &Value, kept: &Value) -> Option<String> {
    let below = |step: String, given: &Value, kept: Option<&Value>| match kept {
        Some(kept) => {
            let path = lost(given, kept)?;
            let dot = if path.starts_with('[') { "" } else { "." };
            Some(format!("{step}{dot}{path}"))
        }
        None if is_nothing(given) => None,
        None => Some(step),
    };
    match given {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, value)| below(key.clone(), value, kept.get(key))),
        Value::Array(all) => all
            .iter()
            .enumerate()
            .find_map(|(index, value)| below(format!("[{index}]"), value, kept.get(index))),
        _ => None,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(pod: &Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "c-1", "annotations": {} },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { "a": "b" } },
                "template": { "metadata": { "labels": { "a": "b" } }, "spec": pod },
            },
        })
    }

    #[test]
    fn a_field_that_is_misspelt_is_named_with_its_path() {
        for (pod, expected) in [
            (
                json!({ "contaniers": [{ "name": "a" }] }),
                "spec.template.spec.contaniers of Deployment c-1 is not a field",
            ),
            (
                json!({ "containers": [{ "name": "a" }, { "name": "b", "iamge": "c" }] }),
                "spec.template.spec.containers[1].iamge of Deployment c-1",
            ),
            (
                json!({ "containers": [{ "name": "a", "ports": [{ "containerPort": "http" }] }] }),
                "spec.template.spec.containers[0].ports[0].containerPort of Deployment c-1: invalid type",
            ),
        ] {
            let found = check(&deployment(&pod)).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn what_kubernetes_writes_in_another_way_is_not_lost() {
        let pod = json!({
            "containers": [{
                "name": "a", "image": "b", "env": [], "securityContext": {}, "command": null,
                "resources": { "limits": { "memory": 1024, "cpu": "0.5" } },
                "readinessProbe": { "httpGet": { "port": "http" } },
            }],
            "volumes": [{ "name": "v", "emptyDir": {} }],
        });
        assert_eq!(check(&deployment(&pod)), Ok(()));
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "c-1" },
            "spec": { "selector": {}, "ports": [{ "port": 80, "targetPort": "http" }] },
        });
        assert_eq!(check(&service), Ok(()));
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c-1" }, "data": { "a": "b" } });
        assert_eq!(check(&map), Ok(()));
    }

    #[test]
    fn each_kind_of_a_cache_is_read_as_what_it_is() {
        for (kind, version) in
            dlf_core::plugin::policy::KINDS.map(|(version, kind)| (kind, version))
        {
            let object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "c-1" }, "spce": { "a": 1 } });
            let found = check(&object).unwrap_err();
            assert!(found.starts_with(&format!("spce of {kind} c-1")), "{found}");
        }
    }
}
