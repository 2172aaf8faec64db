//! Datasets as files: a volume on the claim `NAME`, and its mounts.

use std::collections::BTreeSet;

use dlf_core::{labels::check_mount_path, names::ANNOTATION_VOLUMES};
use serde_json::{Value, json};

use super::{Refusal, Wanted};
use crate::webhook::{
    patch::{Patch, escape},
    pod::{Container, Pod},
};

/// Lets a container see the mount that replaces one whose file system died.
const PROPAGATION: &str = "HostToContainer";
/// Includes what [`PROPAGATION`] gives.
const PROPAGATION_BOTH_WAYS: &str = "Bidirectional";

pub(super) fn add(pod: &Pod, wanted: &[Wanted<'_>], patch: &mut Patch) -> Result<(), Refusal> {
    let before = added_before(pod);
    let (theirs, mut ours): (Vec<_>, Vec<_>) = wanted
        .iter()
        .filter(|one| one.used.mode.mounts())
        .partition(|one| {
            let id = one.used.id.as_str();
            !before.contains(id) && pod.volumes().any(|volume| volume.is_claim(id))
        });
    let mut volumes = Vec::new();
    for one in &ours {
        volumes.extend(volume(pod, one, &before)?);
    }
    patch.append("/spec/volumes", pod.spec.volumes.is_some(), volumes);
    remember(pod, &before, &ours, patch);
    let names: Vec<&str> = pod
        .volumes()
        .filter(|volume| theirs.iter().any(|one| volume.is_claim(&one.used.id)))
        .map(|volume| volume.name.as_str())
        .chain(ours.iter().map(|one| one.used.id.as_str()))
        .collect();
    // A path sorts before everything below it, so that a parent is mounted before its children.
    ours.sort_by(|a, b| a.path.cmp(&b.path));
    for (at, container) in pod.containers() {
        propagate(&at, container, &names, patch);
        let mounts = mounts(container, &ours)?;
        patch.append(
            &format!("{at}/volumeMounts"),
            container.volume_mounts.is_some(),
            mounts,
        );
    }
    Ok(())
}

/// Volumes that an earlier call added. A volume of the user's on the same claim looks the same, but
/// means that the user says where it is mounted.
fn added_before(pod: &Pod) -> BTreeSet<&str> {
    let annotations = pod.metadata.annotations.as_ref();
    let names = annotations.and_then(|annotations| annotations.get(ANNOTATION_VOLUMES));
    let names = names.into_iter().flat_map(|names| names.split(','));
    names
        .filter(|name| {
            pod.volumes()
                .any(|volume| volume.name == *name && volume.is_claim(name))
        })
        .collect()
}

fn remember(pod: &Pod, before: &BTreeSet<&str>, ours: &[&Wanted<'_>], patch: &mut Patch) {
    let now: BTreeSet<&str> = ours.iter().map(|one| one.used.id.as_str()).collect();
    if now == *before {
        return;
    }
    let names = now.into_iter().collect::<Vec<_>>().join(",");
    if pod.metadata.annotations.is_some() {
        patch.set(
            format!("/metadata/annotations/{}", escape(ANNOTATION_VOLUMES)),
            names.into(),
        );
    } else {
        patch.set(
            "/metadata/annotations".to_owned(),
            json!({ ANNOTATION_VOLUMES: names }),
        );
    }
}

fn volume(
    pod: &Pod,
    wanted: &Wanted<'_>,
    before: &BTreeSet<&str>,
) -> Result<Option<Value>, Refusal> {
    let id = &wanted.used.id;
    if before.contains(id.as_str()) {
        return Ok(None);
    }
    if pod.volumes().any(|volume| volume.name == *id) {
        return Err(Refusal::VolumeTaken {
            index: wanted.used.index,
            id: id.clone(),
        });
    }
    Ok(Some(if is_readonly(wanted) {
        json!({ "name": id, "persistentVolumeClaim": { "claimName": id, "readOnly": true } })
    } else {
        json!({ "name": id, "persistentVolumeClaim": { "claimName": id } })
    }))
}

fn is_readonly(wanted: &Wanted<'_>) -> bool {
    wanted.facts.readonly || wanted.used.readonly
}

/// The user's own mounts of these volumes get the propagation that repair needs.
fn propagate(at: &str, container: &Container, volumes: &[&str], patch: &mut Patch) {
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let sees_repairs = matches!(
            mount.mount_propagation.as_deref(),
            Some(PROPAGATION | PROPAGATION_BOTH_WAYS)
        );
        if volumes.contains(&mount.name.as_str()) && !sees_repairs {
            patch.set(
                format!("{at}/volumeMounts/{index}/mountPropagation"),
                PROPAGATION.into(),
            );
        }
    }
}

/// Our mounts in a container: of each dataset that goes to it and that it does not mount itself.
fn mounts(container: &Container, wanted: &[&Wanted<'_>]) -> Result<Vec<Value>, Refusal> {
    let own = || container.volume_mounts.iter().flatten();
    let mut taken: Vec<(&str, &str)> = own()
        .map(|mount| {
            (
                check_mount_path(&mount.mount_path).unwrap_or(&mount.mount_path),
                mount.name.as_str(),
            )
        })
        .collect();
    let mut mounts = Vec::new();
    for one in wanted.iter().filter(|one| one.goes_to(container)) {
        let id = one.used.id.as_str();
        if own().any(|mount| mount.name == id) {
            continue;
        }
        if let Some((path, volume)) = taken.iter().find(|(path, _)| *path == one.path) {
            return Err(Refusal::PathTaken {
                index: one.used.index,
                id: id.to_owned(),
                container: container.name.clone(),
                volume: (*volume).to_owned(),
                path: (*path).to_owned(),
            });
        }
        taken.push((&one.path, id));
        mounts.push(mount(one));
    }
    Ok(mounts)
}

fn mount(wanted: &Wanted<'_>) -> Value {
    let (name, path) = (&wanted.used.id, &wanted.path);
    if is_readonly(wanted) {
        json!({ "name": name, "mountPath": path, "mountPropagation": PROPAGATION, "readOnly": true })
    } else {
        json!({ "name": name, "mountPath": path, "mountPropagation": PROPAGATION })
    }
}
