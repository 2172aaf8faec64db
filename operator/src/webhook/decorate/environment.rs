//! Datasets as environment: all of ConfigMap and Secret `NAME` with the prefix `NAME_`, and once
//! more as `DATASET_N_…`, since a shell cannot say `$my-data_endpoint`.

use dlf_core::source::{
    SourceType,
    keys::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN},
};
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

const OBJECT_STORE: [Variable; 8] = [
    ("ENDPOINT", "endpoint", Home::ConfigMap),
    ("BUCKET", "bucket", Home::ConfigMap),
    ("FOLDER", "folder", Home::ConfigMap),
    ("REGION", "region", Home::ConfigMap),
    ("READONLY", "readonly", Home::ConfigMap),
    ("ACCESS_KEY_ID", ACCESS_KEY_ID, Home::Secret),
    ("SECRET_ACCESS_KEY", SECRET_ACCESS_KEY, Home::Secret),
    ("SESSION_TOKEN", SESSION_TOKEN, Home::Secret),
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
        let from = wanted().flat_map(|one| env_from(container, one)).collect();
        patch.append(&format!("{at}/envFrom"), container.env_from.is_some(), from);
        let variables = wanted()
            .flat_map(|one| keys(container, one).chain(env(container, one)))
            .collect();
        patch.append(&format!("{at}/env"), container.env.is_some(), variables);
    }
}

/// Not optional: a container waits until both are there. Of a Secret that is the user's own its keys come
/// one by one: what else is in it was not meant for pods.
fn env_from(container: &Container, wanted: &Wanted<'_>) -> Vec<Value> {
    let id = &wanted.used.id;
    if is_there(container, id) {
        return Vec::new();
    }
    let prefix = format!("{id}_");
    let config_map = json!({ "prefix": prefix, "configMapRef": { "name": id } });
    let secret = json!({ "prefix": prefix, "secretRef": { "name": id } });
    if wanted.facts.has_keys_of_its_name {
        vec![config_map]
    } else {
        vec![config_map, secret]
    }
}

fn is_there(container: &Container, id: &str) -> bool {
    let mut from = container.env_from.iter().flatten();
    from.any(|from| from.is_of(id))
}

/// The keys of a Secret that is the user's own, under the names that they would have in ours.
fn keys<'a>(container: &'a Container, wanted: &'a Wanted<'_>) -> impl Iterator<Item = Value> + 'a {
    let id = &wanted.used.id;
    let own = wanted.facts.has_keys_of_its_name && !is_there(container, id);
    let of_secret = OBJECT_STORE
        .iter()
        .filter(|(_, _, home)| matches!(home, Home::Secret));
    of_secret.filter(move |_| own).map(move |(_, key, _)| {
        // Only temporary keys have a token.
        let optional = *key == SESSION_TOKEN;
        let reference = json!({ "name": id, "key": key, "optional": optional });
        json!({ "name": format!("{id}_{key}"), "valueFrom": { "secretKeyRef": reference } })
    })
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
