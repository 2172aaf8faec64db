//! Whose an object is, and of which kind.

use serde_json::Value;

use super::{KINDS, refused};
use crate::plugin::{CachePlace, KindRef, PlanError, PluginInfo};

/// Kind and name of an object that may be planned.
pub(super) fn identify(
    object: &Value,
    index: usize,
    info: &PluginInfo,
    place: &CachePlace,
) -> Result<(KindRef, String), PlanError> {
    if !object.is_object() {
        let shown: String = object.to_string().chars().take(60).collect();
        return Err(refused(format!(
            "objects[{index}] of the plan is {shown}; expected an object of Kubernetes, with apiVersion, kind and metadata"
        )));
    }
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = KindRef::new(text("/apiVersion"), text("/kind"));
    let known = KINDS
        .iter()
        .any(|(version, name)| kind.api_version == *version && kind.kind == *name);
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    if !known || !info.emits.contains(&kind) {
        let allowed: Vec<String> = info
            .emits
            .iter()
            .map(|kind| format!("{} {}", kind.api_version, kind.kind))
            .collect();
        return Err(refused(format!(
            "objects[{index}] of the plan, {name:?}, is a {:?} of {:?}; the plugin says that it emits {}, and caches \
             may be made of {}",
            kind.kind,
            kind.api_version,
            if allowed.is_empty() {
                "nothing".to_owned()
            } else {
                allowed.join(", ")
            },
            KINDS.map(|(_, name)| name).join(", "),
        )));
    }
    if namespace != place.namespace {
        return Err(refused(format!(
            "{} {name} is planned for namespace {namespace:?}; caches live in {:?}",
            kind.kind, place.namespace
        )));
    }
    if !place.owns(name) {
        return Err(refused(format!(
            "{} {name:?} has a name of another cache; names here are {:?}, or begin with it and a hyphen",
            kind.kind, place.name
        )));
    }
    metadata(object, &format!("{} {name}", kind.kind))?;
    Ok((kind, name.to_owned()))
}

/// What in an object's metadata is not the plugin's to say.
pub(super) fn metadata(object: &Value, shown: &str) -> Result<(), PlanError> {
    for key in ["ownerReferences", "finalizers", "generateName"] {
        if object["metadata"].get(key).is_some() {
            return Err(refused(format!(
                "{shown} has metadata.{key}, which is the host's; leave it out"
            )));
        }
    }
    Ok(())
}
