//! How large a cache is: what all its pods and volumes take together.

use serde_json::Value;

use super::{Planned, list, refused};
use crate::{
    api::quantity_bytes,
    plugin::{CacheDecision, PlanError},
};

/// Pods beside the decided replicas: a router before the shards or a store of what is where, and another
/// of it so that one may end.
const HELPERS_MAX: u64 = 2;
/// Volumes may be larger than the decided capacity by one part in so many. Directories, indexes and files
/// on their way out are on them too, and a pod that outgrows its volume is evicted: the SDK's `Server`
/// takes an eighth for that.
const MARGIN: u128 = 4;
/// Bytes of each pod's volumes that are for no data: sockets, logs and compiled configuration. A node's
/// disk has them many times over, and small caches would not start without.
const SCRATCH: u128 = 1 << 30;
/// Kinds that take a node's disk; the first two make pods.
const WITH_VOLUMES: [&str; 3] = ["Deployment", "StatefulSet", "PersistentVolumeClaim"];

/// Checks replicas and bytes against what was decided.
pub(super) fn check(planned: &[Planned<'_>], decision: &CacheDecision) -> Result<(), PlanError> {
    let decided = u64::from(decision.replicas.max(1));
    let (mut pods, mut bytes) = (0_u64, 0_u128);
    for one in planned {
        let replicas = if one.is_workload() { replicas(one)? } else { 1 };
        let each = match one.kind.as_str() {
            "Deployment" | "StatefulSet" => {
                pods = pods.saturating_add(replicas);
                of_a_pod(one)?
            }
            "PersistentVolumeClaim" => claim(&one.object["spec"], &one.shown)?,
            _ => 0,
        };
        bytes = bytes.saturating_add(each.saturating_mul(u128::from(replicas)));
    }
    let most = decided + HELPERS_MAX;
    if pods > most {
        return Err(refused(format!(
            "{} have {pods} replicas together; the cache was decided to have {decided}, and with {HELPERS_MAX} for \
             helpers {most} are the most",
            makers(planned, &WITH_VOLUMES[..2])
        )));
    }
    let capacity = u128::from(decision.capacity_bytes);
    let most = capacity + capacity / MARGIN + SCRATCH * u128::from(pods);
    if bytes > most {
        return Err(refused(format!(
            "volumes of {} are {} MiB together, all replicas counted; the cache was decided to have {} MiB, and with a \
             margin of a quarter and 1 GiB for each of {pods} pods {} MiB are the most: divide decision.capacityBytes \
             by the replicas",
            makers(planned, &WITH_VOLUMES),
            bytes.div_ceil(1 << 20),
            capacity >> 20,
            most >> 20
        )));
    }
    Ok(())
}

/// Objects of these kinds, for a person.
fn makers(planned: &[Planned<'_>], kinds: &[&str]) -> String {
    let shown = planned
        .iter()
        .filter(|one| kinds.contains(&one.kind.as_str()));
    let shown: Vec<_> = shown.map(|one| one.shown.as_str()).collect();
    shown.join(", ")
}

/// Replicas of a workload; one where it does not say, as Kubernetes has it.
fn replicas(workload: &Planned<'_>) -> Result<u64, PlanError> {
    match &workload.object["spec"]["replicas"] {
        Value::Null => Ok(1),
        given => given.as_u64().ok_or_else(|| {
            refused(format!(
                "{} has spec.replicas {given}; expected a number",
                workload.shown
            ))
        }),
    }
}

/// Bytes of the volumes that each pod of a workload has for itself.
fn of_a_pod(workload: &Planned<'_>) -> Result<u128, PlanError> {
    let mut bytes = 0_u128;
    for volume in list(&workload.template()["spec"]["volumes"]) {
        bytes = bytes.saturating_add(scratch(volume, &workload.shown)?);
    }
    for template in list(&workload.object["spec"]["volumeClaimTemplates"]) {
        let name = template["metadata"]["name"].as_str().unwrap_or_default();
        let shown = format!("claim {name} of {}", workload.shown);
        bytes = bytes.saturating_add(claim(&template["spec"], &shown)?);
    }
    Ok(bytes)
}

/// Bytes of an `emptyDir`. One without a limit takes what the node has, from all who are on it.
fn scratch(volume: &Value, shown: &str) -> Result<u128, PlanError> {
    // A volume that says no source is an emptyDir to Kubernetes.
    let others = ["configMap", "persistentVolumeClaim", "secret"];
    if others.iter().any(|source| volume[source].is_object()) {
        return Ok(0);
    }
    let limit = &volume["emptyDir"]["sizeLimit"];
    bytes_of(limit).ok_or_else(|| {
        let name = volume["name"].as_str().unwrap_or_default();
        refused(format!(
            "volume {name} of {shown} is an emptyDir of sizeLimit {limit}; set one above zero, as \"64Mi\", also of \
             what is in memory"
        ))
    })
}

/// Bytes that a claim asks for.
fn claim(spec: &Value, shown: &str) -> Result<u128, PlanError> {
    let asked = &spec["resources"]["requests"]["storage"];
    bytes_of(asked).ok_or_else(|| {
        refused(format!(
            "{shown} has spec.resources.requests.storage {asked}; expected a size above zero, as \"10Gi\""
        ))
    })
}

/// Bytes of a quantity, which is a text or a number.
fn bytes_of(quantity: &Value) -> Option<u128> {
    let bytes = match quantity {
        Value::String(text) => quantity_bytes(text),
        Value::Number(number) => quantity_bytes(&number.to_string()),
        _ => None,
    };
    bytes.map(u128::from)
}
