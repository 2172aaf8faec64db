//! Pods of a cache: what they may ask for. How they run is left to Pod Security.

use serde_json::Value;

use super::{claims, containers, list, objects, probes, refused};
use crate::plugin::{CachePlace, PlanError};

/// Fields of a pod that stay within it, or say which nodes suit it. What Kubernetes adds later is refused
/// until somebody has looked at what it reaches.
const FIELDS: [&str; 21] = [
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostname",
    "initContainers",
    "nodeSelector",
    "os",
    "readinessGates",
    "resources",
    "restartPolicy",
    "securityContext",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];
/// Fields that authors ask for, and what to do instead.
const INSTEAD: [(&str, &str); 4] = [
    (
        "imagePullSecrets",
        "those of the chart's value imagePullSecrets are added",
    ),
    (
        "hostAliases",
        "a name leads a cache where the cluster's DNS says, so that it reads what its Dataset names",
    ),
    (
        "runtimeClassName",
        "which runtime runs a pod is for the nodes' administrator to say",
    ),
    (
        "schedulerName",
        "affinity, tolerations and topologySpreadConstraints say where pods go",
    ),
];
/// Sources of a pod's volumes; what they name is this cache's own.
const VOLUMES: [&str; 4] = ["emptyDir", "configMap", "persistentVolumeClaim", "secret"];

/// Checks a Deployment or a `StatefulSet`.
pub(super) fn check(object: &Value, shown: &str, place: &CachePlace) -> Result<(), PlanError> {
    let template = &object["spec"]["template"];
    for (key, value) in &place.labels {
        if template["metadata"]["labels"][key] != value.as_str() {
            return Err(refused(format!(
                "pods of {shown} do not carry the label {key}: {value}, by which they are known as this cache's"
            )));
        }
    }
    for claim in list(&object["spec"]["volumeClaimTemplates"]) {
        let name = claim["metadata"]["name"].as_str().unwrap_or_default();
        let shown = format!("claim {name} of {shown}");
        objects::metadata(claim, &shown)?;
        claims::check(&claim["spec"], &shown)?;
    }
    let pod = &template["spec"];
    fields(pod, shown)?;
    names(pod, shown)?;
    for volume in list(&pod["volumes"]) {
        self::volume(volume, shown, place)?;
    }
    for container in containers(pod) {
        let name = container["name"].as_str().unwrap_or_default();
        let of = format!("container {name} of {shown}");
        self::container(container, &of, place)?;
        probes::check(container, &of)?;
    }
    Ok(())
}

fn fields(pod: &Value, shown: &str) -> Result<(), PlanError> {
    let mut set = pod.as_object().into_iter().flatten();
    if let Some((key, _)) = set.find(|(key, _)| !FIELDS.contains(&key.as_str())) {
        let instead = INSTEAD.iter().find(|(refused, _)| refused == key);
        let instead = match instead {
            Some((_, instead)) => (*instead).to_owned(),
            None => format!("pods of caches may set {}", FIELDS.join(", ")),
        };
        return Err(refused(format!(
            "{shown} sets {key} of its pods; leave it out: {instead}"
        )));
    }
    if pod["automountServiceAccountToken"] != false {
        return Err(refused(format!(
            "{shown} lets its pods have a token of the API server; set automountServiceAccountToken: false"
        )));
    }
    Ok(())
}

/// Names are resolved by the cluster's DNS: who resolves otherwise may read another source than its
/// Dataset names, by the same name.
fn names(pod: &Value, shown: &str) -> Result<(), PlanError> {
    let policy = &pod["dnsPolicy"];
    if !policy.is_null() && policy != "ClusterFirst" {
        return Err(refused(format!(
            "{shown} sets dnsPolicy {policy} of its pods; they ask the cluster's DNS: leave it out, or say ClusterFirst"
        )));
    }
    for key in ["nameservers", "searches"] {
        if pod["dnsConfig"].get(key).is_some() {
            return Err(refused(format!(
                "{shown} sets dnsConfig.{key} of its pods; they ask the cluster's DNS: leave it out, and keep \
                 dnsConfig.options if you need them"
            )));
        }
    }
    Ok(())
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
        if source == "secret" {
            let named = value["secretName"].as_str();
            self::secret(named, &format!("volume {name} of {shown}"), place)?;
        }
        if let Some(named) = named.filter(|named| !place.owns(named)) {
            return Err(refused(format!(
                "volume {name} of {shown} is {source} {named}, which is not this cache's; names here are {:?}, or \
                 begin with it and a hyphen",
                place.name
            )));
        }
    }
    Ok(())
}

fn container(container: &Value, of: &str, place: &CachePlace) -> Result<(), PlanError> {
    let values = list(&container["env"]).filter_map(|one| one.get("valueFrom"));
    let references = values.chain(list(&container["envFrom"]));
    for (kind, reference) in references.filter_map(Value::as_object).flatten() {
        let named = reference["name"].as_str();
        if matches!(kind.as_str(), "secretKeyRef" | "secretRef") {
            secret(named, of, place)?;
            continue;
        }
        let granted = matches!(kind.as_str(), "fieldRef" | "resourceFieldRef" | "prefix")
            || kind.starts_with("configMap") && named.is_some_and(|named| place.owns(named));
        if !granted {
            return Err(refused(format!(
                "{of} reads {kind} {}, which it was not granted; it may read ConfigMaps of the plan and its pod's fields",
                named.unwrap_or_default()
            )));
        }
    }
    for port in list(&container["ports"]) {
        if port.get("hostPort").is_some() {
            return Err(refused(format!(
                "{of} takes a port of the node (hostPort); leave it out: a Service leads to its containerPort"
            )));
        }
    }
    Ok(())
}

/// The one Secret that pods of a cache may read is the one with the source's keys, where these were granted.
fn secret(named: Option<&str>, of: &str, place: &CachePlace) -> Result<(), PlanError> {
    let granted = place.key_secret.as_deref();
    if granted.is_some() && named == granted {
        return Ok(());
    }
    let named = named.unwrap_or_default();
    Err(refused(match granted {
        Some(granted) => {
            format!(
                "{of} reads Secret {named:?}; of Secrets it may read {granted:?}, place.keySecret of the request"
            )
        }
        None => format!(
            "{of} reads Secret {named:?}, and the request has no place.keySecret: a plugin that says needs.sourceKeys is \
             given one, where its source has keys"
        ),
    }))
}
