//! What the webhook adds to a pod that asks for datasets. Pure: a pod, what its labels ask for and
//! what is known of those datasets go in, a patch comes out. Decorating a decorated pod adds
//! nothing, for the API server may call twice.

mod environment;
mod mounts;
mod refusal;

use dlf_core::{
    labels::{DatasetUse, check_mount_path},
    names::{LABEL_USES_DATASETS, MOUNT_ROOT},
    source::SourceType,
};

pub use refusal::Refusal;

use super::{
    datasets::Facts,
    patch::{Patch, escape},
    pod::{Container, Pod},
};

/// What is known of the datasets of the pod's namespace.
pub trait DatasetLookup {
    /// The namespace.
    fn namespace(&self) -> &str;
    /// A Dataset's facts; none if there is no such Dataset.
    fn find(&self, name: &str) -> Option<&Facts>;
}

/// What makes the datasets appear in the pod.
pub fn decorate(
    pod: &Pod,
    uses: &[DatasetUse],
    datasets: &impl DatasetLookup,
) -> Result<Patch, Refusal> {
    let mut patch = Patch::default();
    // A pod without containers is the API server's to refuse, and may have no spec to add to.
    if uses.is_empty() || pod.containers().next().is_none() {
        return Ok(patch);
    }
    let wanted = resolve(pod, uses, datasets)?;
    mounts::add(pod, &wanted, &mut patch)?;
    environment::add(pod, &wanted, &mut patch);
    stamp(pod, &mut patch);
    Ok(patch)
}

/// One dataset as this pod is to get it.
struct Wanted<'a> {
    used: &'a DatasetUse,
    facts: &'a Facts,
    path: String,
}

impl Wanted<'_> {
    fn goes_to(&self, container: &Container) -> bool {
        self.used
            .containers
            .as_ref()
            .is_none_or(|names| names.contains(&container.name))
    }
}

fn resolve<'a>(
    pod: &Pod,
    uses: &'a [DatasetUse],
    datasets: &'a impl DatasetLookup,
) -> Result<Vec<Wanted<'a>>, Refusal> {
    let missing: Vec<&DatasetUse> = uses
        .iter()
        .filter(|used| datasets.find(&used.id).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::not_found(&missing, datasets.namespace()));
    }
    uses.iter()
        .filter_map(|used| datasets.find(&used.id).map(|facts| (used, facts)))
        .map(|(used, facts)| {
            if facts.deleting {
                return Err(Refusal::Deleting {
                    index: used.index,
                    id: used.id.clone(),
                });
            }
            check_containers(pod, used)?;
            check_users(pod, used, facts)?;
            Ok(Wanted {
                used,
                facts,
                path: path(used, facts)?,
            })
        })
        .collect()
}

fn path(used: &DatasetUse, facts: &Facts) -> Result<String, Refusal> {
    match (&used.path, &facts.mount_path) {
        (Some(path), _) => Ok(path.clone()),
        (None, Some(path)) => check_mount_path(path)
            .map(str::to_owned)
            .map_err(|problem| Refusal::DatasetPath {
                id: used.id.clone(),
                found: path.clone(),
                problem,
            }),
        (None, None) => Ok(format!("{MOUNT_ROOT}/{}", used.id)),
    }
}

fn check_containers(pod: &Pod, used: &DatasetUse) -> Result<(), Refusal> {
    let is_there = |name: &String| {
        pod.containers()
            .any(|(_, container)| container.name == *name)
    };
    match used
        .containers
        .iter()
        .flatten()
        .find(|name| !is_there(name))
    {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = pod
                .containers()
                .map(|(_, container)| container.name.as_str())
                .collect();
            Err(Refusal::NoContainer {
                index: used.index,
                name: name.clone(),
                known: known.join(", "),
            })
        }
    }
}

/// The runtime maps the owners of what it mounts to the pod's user namespace, and fails with "invalid argument" where
/// the file system cannot do that: neither NFS nor one of ours can. Most that a node keeps its own files on can.
fn check_users(pod: &Pod, used: &DatasetUse, facts: &Facts) -> Result<(), Refusal> {
    let kind = facts.kind.unwrap_or(SourceType::Cos);
    if pod.spec.host_users == Some(false) && used.mode.mounts() && kind != SourceType::Host {
        return Err(Refusal::UserNamespace {
            index: used.index,
            id: used.id.clone(),
            kind: kind.as_str(),
        });
    }
    Ok(())
}

/// The operator watches only pods of this label.
fn stamp(pod: &Pod, patch: &mut Patch) {
    let labels = pod.metadata.labels.as_ref();
    if labels
        .and_then(|labels| labels.get(LABEL_USES_DATASETS))
        .is_none_or(|value| value != "true")
    {
        patch.set(
            format!("/metadata/labels/{}", escape(LABEL_USES_DATASETS)),
            "true".into(),
        );
    }
}

#[cfg(test)]
mod tests;
