//! What a plan may hold. A plugin is somebody else's code: what it plans is checked as what a tenant
//! writes is, and the namespace of caches enforces Pod Security `restricted` on top.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CacheOrigin, CachePlace, CachingPlan, KindRef, PlanError, PluginInfo};
use crate::shards::{SHARD_BYTES_MIN, SHARDS_MAX};

/// Kinds that a plan may hold when the plugin says that it emits them.
pub const KINDS: [(&str, &str); 5] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
];
/// A cache of one dataset needs no more.
const OBJECTS_MAX: usize = 32;
/// Where reads go one after the other: each that cannot answer costs a read seconds.
const ORIGINS_MAX: usize = 4;
/// Sources of a pod's volumes; what they name is this cache's own.
const VOLUMES: [&str; 3] = ["emptyDir", "configMap", "persistentVolumeClaim"];
/// Fields of a pod that reach beyond it.
const POD_FORBIDDEN: [&str; 8] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostUsers",
    "nodeName",
    "serviceAccountName",
    "serviceAccount",
    "priorityClassName",
];

/// Checks the plan of a plugin for one cache.
///
/// # Errors
/// The first thing that it may not hold: where, what was found, and what may stand there.
pub fn check(plan: &CachingPlan, info: &PluginInfo, place: &CachePlace) -> Result<(), PlanError> {
    if plan.objects.len() > OBJECTS_MAX {
        return Err(refused(format!(
            "the plan has {} objects; {OBJECTS_MAX} are the most",
            plan.objects.len()
        )));
    }
    let mut names = BTreeSet::new();
    for object in &plan.objects {
        let (kind, name) = object_of(object, info, place)?;
        let shown = format!("{} {name}", kind.kind);
        if !names.insert((kind.clone(), name)) {
            return Err(refused(format!("{shown} is planned twice")));
        }
        match kind.kind.as_str() {
            "Deployment" | "StatefulSet" => workload(object, &shown, place)?,
            "Service" => service(object, &shown, place)?,
            _ => {}
        }
    }
    origins(plan, place, &names)
}

fn refused(message: String) -> PlanError {
    PlanError::new("PlanRefused", message)
}

/// Kind and name of an object that may be planned.
fn object_of(
    object: &Value,
    info: &PluginInfo,
    place: &CachePlace,
) -> Result<(KindRef, String), PlanError> {
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
    if !known || !info.emits.contains(&kind) {
        let allowed: Vec<String> = info
            .emits
            .iter()
            .map(|kind| format!("{} {}", kind.api_version, kind.kind))
            .collect();
        return Err(refused(format!(
            "the plan holds a {:?} of {:?}; the plugin says that it emits {}, and caches may be made of {}",
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
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
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

fn metadata(object: &Value, shown: &str) -> Result<(), PlanError> {
    for key in ["ownerReferences", "finalizers", "generateName"] {
        if object["metadata"].get(key).is_some() {
            return Err(refused(format!(
                "{shown} has metadata.{key}, which is the host's"
            )));
        }
    }
    Ok(())
}

fn workload(object: &Value, shown: &str, place: &CachePlace) -> Result<(), PlanError> {
    let template = &object["spec"]["template"];
    for (key, value) in &place.labels {
        if template["metadata"]["labels"][key] != value.as_str() {
            return Err(refused(format!(
                "pods of {shown} do not carry the label {key}: {value}, by which they are known as this cache's"
            )));
        }
    }
    let claims = &object["spec"]["volumeClaimTemplates"];
    for claim in claims.as_array().into_iter().flatten() {
        metadata(claim, &format!("a claim of {shown}"))?;
    }
    let pod = &template["spec"];
    for key in POD_FORBIDDEN {
        if pod.get(key).is_some() {
            return Err(refused(format!(
                "{shown} sets {key} of its pods; leave it out"
            )));
        }
    }
    if pod["automountServiceAccountToken"] != false {
        return Err(refused(format!(
            "{shown} lets its pods have a token of the API server; set automountServiceAccountToken: false"
        )));
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        self::volume(volume, shown, place)?;
    }
    for list in ["containers", "initContainers"] {
        for container in pod[list].as_array().into_iter().flatten() {
            self::container(container, shown, place)?;
        }
    }
    match pod.get("ephemeralContainers") {
        None => Ok(()),
        Some(_) => Err(refused(format!("{shown} has ephemeralContainers"))),
    }
}

fn volume(volume: &Value, shown: &str, place: &CachePlace) -> Result<(), PlanError> {
    let name = volume["name"].as_str().unwrap_or_default();
    let sources = volume.as_object().into_iter().flatten();
    for (source, value) in sources.filter(|(key, _)| *key != "name") {
        if !VOLUMES.contains(&source.as_str()) {
            return Err(refused(format!(
                "volume {name} of {shown} is a {source}; those of caches are {}",
                VOLUMES.join(", ")
            )));
        }
        let named = value["name"]
            .as_str()
            .or_else(|| value["claimName"].as_str());
        if let Some(named) = named.filter(|named| !place.owns(named)) {
            return Err(refused(format!(
                "volume {name} of {shown} is {source} {named}, which is not this cache's"
            )));
        }
    }
    Ok(())
}

fn container(container: &Value, shown: &str, place: &CachePlace) -> Result<(), PlanError> {
    let name = container["name"].as_str().unwrap_or_default();
    let values = container["env"].as_array().into_iter().flatten();
    let froms = container["envFrom"].as_array().into_iter().flatten();
    let references = values.filter_map(|one| one.get("valueFrom")).chain(froms);
    for (kind, reference) in references.filter_map(Value::as_object).flatten() {
        let named = reference["name"].as_str();
        let granted = matches!(kind.as_str(), "fieldRef" | "resourceFieldRef" | "prefix")
            || kind.starts_with("configMap") && named.is_some_and(|named| place.owns(named));
        if !granted {
            return Err(refused(format!(
                "container {name} of {shown} reads {kind} {}, which it was not granted",
                named.unwrap_or_default()
            )));
        }
    }
    for port in container["ports"].as_array().into_iter().flatten() {
        if port.get("hostPort").is_some() {
            return Err(refused(format!(
                "container {name} of {shown} takes a port of the node (hostPort)"
            )));
        }
    }
    Ok(())
}

fn service(object: &Value, shown: &str, place: &CachePlace) -> Result<(), PlanError> {
    let spec = &object["spec"];
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    if kind != "ClusterIP" {
        return Err(refused(format!(
            "{shown} is of type {kind}; caches are reached from inside the cluster only: ClusterIP"
        )));
    }
    if spec.get("externalIPs").is_some() || spec.get("externalName").is_some() {
        return Err(refused(format!("{shown} leads out of the cluster")));
    }
    for (key, value) in &place.labels {
        if spec["selector"][key] != value.as_str() {
            return Err(refused(format!(
                "{shown} does not select {key}: {value}, and so leads to pods that are not this cache's"
            )));
        }
    }
    Ok(())
}

/// Reads go to Services of the plan, or to pods that these give names, and nowhere else.
fn origins(
    plan: &CachingPlan,
    place: &CachePlace,
    names: &BTreeSet<(KindRef, String)>,
) -> Result<(), PlanError> {
    if plan.origins.len() > ORIGINS_MAX {
        return Err(refused(format!(
            "the plan has {} origins; {ORIGINS_MAX} are the most",
            plan.origins.len()
        )));
    }
    let is_planned =
        |service: &str| names.contains(&(KindRef::new("v1", "Service"), service.to_owned()));
    for origin in &plan.origins {
        let service = host_of(&origin.endpoint, place);
        if !service.is_some_and(is_planned) {
            return Err(refused(format!(
                "reads would go to {:?}; an origin is http://NAME.{}.svc:PORT of a Service of the plan",
                origin.endpoint, place.namespace
            )));
        }
        shards(origin, place, is_planned)?;
    }
    Ok(())
}

fn shards(
    origin: &CacheOrigin,
    place: &CachePlace,
    is_planned: impl Fn(&str) -> bool,
) -> Result<(), PlanError> {
    let (count, unit) = (origin.shards.len(), origin.shard_bytes);
    if count > SHARDS_MAX {
        return Err(refused(format!(
            "{} has {count} shards; {SHARDS_MAX} are the most",
            origin.endpoint
        )));
    }
    if unit != 0 && unit < SHARD_BYTES_MIN {
        return Err(refused(format!(
            "{} has shardBytes {unit}; units have {SHARD_BYTES_MIN} bytes at least, and 0 keeps objects in one piece",
            origin.endpoint
        )));
    }
    for shard in &origin.shards {
        let leads_here = host_of(shard, place).is_some_and(|host| match host.split_once('.') {
            Some((pod, service)) => place.owns(pod) && is_planned(service),
            None => is_planned(host),
        });
        if !leads_here {
            return Err(refused(format!(
                "reads would go to shard {shard:?}; a shard is http://POD.NAME.{0}.svc:PORT of a pod that Service NAME \
                 of the plan gives a name, or http://NAME.{0}.svc:PORT",
                place.namespace
            )));
        }
    }
    Ok(())
}

/// The host of an `http` URL without the namespace of caches; none where the URL has more than a host
/// and a port, or leads elsewhere.
fn host_of<'a>(url: &'a str, place: &CachePlace) -> Option<&'a str> {
    let host = url.strip_prefix("http://")?.trim_end_matches('/');
    let (host, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    port.parse::<u16>().ok()?;
    let namespace = format!(".{}.svc", place.namespace);
    host.strip_suffix(namespace.as_str())
}

#[cfg(test)]
mod tests;
