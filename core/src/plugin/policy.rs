//! What a plan may hold. A plugin is somebody else's code: what it plans is checked as what a tenant
//! writes is, and the namespace of caches enforces Pod Security `restricted` on top.

mod claims;
mod objects;
mod origins;
mod pods;
mod probes;
mod services;
mod size;
mod storage;
mod tasks;

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CacheDecision, CachePlace, CachingPlan, PlanError, PluginInfo};

pub use storage::check as check_storage;

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

/// Checks the plan of a plugin for one cache of a decided size.
///
/// # Errors
/// The first thing that it may not hold: where, what was found, and what may stand there.
pub fn check(
    plan: &CachingPlan,
    info: &PluginInfo,
    place: &CachePlace,
    decision: &CacheDecision,
) -> Result<(), PlanError> {
    if plan.objects.len() > OBJECTS_MAX {
        return Err(refused(format!(
            "the plan has {} objects; {OBJECTS_MAX} are the most",
            plan.objects.len()
        )));
    }
    let mut names = BTreeSet::new();
    let mut planned = Vec::with_capacity(plan.objects.len());
    for (index, object) in plan.objects.iter().enumerate() {
        let (kind, name) = objects::identify(object, index, info, place)?;
        let shown = format!("{} {name}", kind.kind);
        if !names.insert((kind.clone(), name)) {
            return Err(refused(format!("{shown} is planned twice")));
        }
        let kind = kind.kind;
        match kind.as_str() {
            "Deployment" | "StatefulSet" => pods::check(object, &shown, place)?,
            "Service" => services::check(object, &shown, place)?,
            "PersistentVolumeClaim" => claims::check(&object["spec"], &shown)?,
            _ => {}
        }
        planned.push(Planned {
            object,
            kind,
            shown,
        });
    }
    size::check(&planned, decision)?;
    services::lead_to_pods(&planned)?;
    origins::check(plan, place, &planned)?;
    origins::status(plan, place, &planned)?;
    tasks::check(plan)
}

/// An object that is of a kind and of a name that this cache's may have.
struct Planned<'a> {
    object: &'a Value,
    kind: String,
    /// Kind and name, for a person.
    shown: String,
}

impl Planned<'_> {
    /// Whether it makes pods.
    fn is_workload(&self) -> bool {
        matches!(self.kind.as_str(), "Deployment" | "StatefulSet")
    }

    /// What its pods are made from.
    fn template(&self) -> &Value {
        &self.object["spec"]["template"]
    }
}

/// The entries of a list; none where there is none.
fn list(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}

/// Containers of a pod, those that run first included.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(&pod["initContainers"]).chain(list(&pod["containers"]))
}

fn refused(message: String) -> PlanError {
    PlanError::new("PlanRefused", message)
}

#[cfg(test)]
mod tests;
