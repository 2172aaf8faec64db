//! Datasets as environment: all of ConfigMap and Secret `NAME` with the prefix `NAME_`, and once
//! more as `DATASET_N_…`, since a shell cannot say `$my-data_endpoint`.

use dlf_core::source::SourceType;
use serde_json::{Value, json};

use super::Wanted;
use crate::webhook::{
    patch::Patch,
    pod::{Container, Pod},
};

/// A shell variable's ending, the key it comes from and the kind of object that has it.
type Variable = (&'static str, &'static str, Home);

#[derive(Clone, Copy)]
enum Home {
    ConfigMap,
    Secret,
}

const OBJECT_STORE: [Variable; 7] = [
    ("ENDPOINT", "endpoint", Home::ConfigMap),
    ("BUCKET", "bucket", Home::ConfigMap),
    ("FOLDER", "folder", Home::ConfigMap),
    ("REGION", "region", Home::ConfigMap),
    ("READONLY", "readonly", Home::ConfigMap),
    ("ACCESS_KEY_ID", "accessKeyID", Home::Secret),
    ("SECRET_ACCESS_KEY", "secretAccessKey", Home::Secret),
];
const NFS: [Variable; 3] = [
    ("SERVER", "server", Home::ConfigMap),
    ("SHARE", "share", Home::ConfigMap),
    ("READONLY", "readonly", Home::ConfigMap),
];
const HOST_PATH: [Variable; 2] = [
    ("PATH", "path", Home::ConfigMap),
    ("READONLY", "readonly", Home::ConfigMap),
];

fn variables(kind: Option<SourceType>) -> &'static [Variable] {
    match kind {
        Some(SourceType::Nfs) => &NFS,
        Some(SourceType::Host) => &HOST_PATH,
        // A spec that is not understood yet: all that the other types come down to is a bucket.
        Some(SourceType::Cos) | None => &OBJECT_STORE,
    }
}

pub(super) fn add(pod: &Pod, wanted: &[Wanted<'_>], patch: &mut Patch) {
    for (at, container) in pod.containers() {
        let wanted = || {
            wanted
                .iter()
                .filter(|one| one.used.mode.configures() && one.goes_to(container))
        };
        let from = wanted()
            .flat_map(|one| env_from(container, &one.used.id))
            .collect();
        patch.append(&format!("{at}/envFrom"), container.env_from.is_some(), from);
        let variables = wanted().flat_map(|one| env(container, one)).collect();
        patch.append(&format!("{at}/env"), container.env.is_some(), variables);
    }
}

/// Not optional: a container waits until both are there.
fn env_from(container: &Container, id: &str) -> Vec<Value> {
    if container
        .env_from
        .iter()
        .flatten()
        .any(|from| from.is_of(id))
    {
        return Vec::new();
    }
    let prefix = format!("{id}_");
    vec![
        json!({ "prefix": prefix, "configMapRef": { "name": id } }),
        json!({ "prefix": prefix, "secretRef": { "name": id } }),
    ]
}

/// Optional: a key that this source does not have is no reason not to start.
fn env<'a>(container: &'a Container, wanted: &'a Wanted<'_>) -> impl Iterator<Item = Value> + 'a {
    let id = &wanted.used.id;
    variables(wanted.facts.kind)
        .iter()
        .filter_map(move |(ending, key, home)| {
            let name = format!("DATASET_{}_{ending}", wanted.used.index);
            if container
                .env
                .iter()
                .flatten()
                .any(|variable| variable.name == name)
            {
                return None;
            }
            let reference = json!({ "name": id, "key": key, "optional": true });
            Some(match home {
                Home::ConfigMap => {
                    json!({ "name": name, "valueFrom": { "configMapKeyRef": reference } })
                }
                Home::Secret => json!({ "name": name, "valueFrom": { "secretKeyRef": reference } }),
            })
        })
}
