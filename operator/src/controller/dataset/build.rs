//! Everything that should exist, from what was found: data, and no look at anything else.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use dlf_core::{
    names::{DRIVER, LABEL_DATASET},
    plugin::{StoragePlan, Volume},
    source::Source,
};
use dlf_plugin_host::Config;
use dlf_wire::dataset::v1::{DatasetConfig, Origin};
use serde_json::{Value, json};

use super::{
    internal, node_config,
    plan::Plan,
    resolve::Resolved,
    validate::{Author, Valid},
};
use crate::controller::{error::Problem, names::Identity, owned::SIZE_ANNOTATION};

/// What should exist, or why it cannot.
pub(super) struct Built {
    pub(super) plan: StoragePlan,
    /// What the claim is to have, and what it was made with if that is something else.
    pub(super) size: (String, Option<String>),
    /// Type and address, for a person.
    pub(super) source: String,
    /// Keys that were written into the Dataset, as the Secret `NAME-source`.
    pub(super) inline_keys: Option<Value>,
    /// None where somebody else writes it.
    pub(super) internal: Option<Value>,
    pub(super) claim: Value,
    /// Without its claimRef, which needs the claim's uid.
    pub(super) volume: Value,
    pub(super) config_map: Value,
    /// None where consumers read the user's own.
    pub(super) consumer_secret: Option<Result<Value, Problem>>,
    pub(super) node_config: Result<DatasetConfig, Problem>,
    pub(super) origins: Vec<Origin>,
    /// Whether the origins, with their keys, are needed once more when the Dataset goes.
    pub(super) keeps_origins: bool,
}

/// `made_with`: the size of the claim that is there, which it keeps.
pub(super) fn run(
    identity: &Identity,
    valid: &Valid,
    plan: Plan,
    resolved: Resolved,
    made_with: Option<String>,
    config: &Config,
) -> Built {
    let source = valid.source();
    let size = made_with.as_ref().unwrap_or(&plan.size);
    let Volume::Mount(mount) = &plan.storage.volume;
    let node_config = resolved
        .origins
        .clone()
        .and_then(|origins| node_config::of(identity, mount, origins, config));
    Built {
        source: source.address(),
        keeps_origins: empties_bucket(source),
        inline_keys: inline_secret(identity, &valid.own),
        internal: match &valid.author {
            Author::Operator(caches) => Some(internal::desired(identity, &valid.spec, caches)),
            Author::Other => None,
        },
        claim: claim_of(identity, size),
        volume: volume_of(identity, size),
        config_map: config_map(identity, &plan.storage.config_map),
        consumer_secret: resolved
            .consumer_secret
            .map(|entries| entries.map(|entries| secret(identity, &identity.name, &entries))),
        node_config,
        origins: resolved.origins.unwrap_or_default(),
        size: (
            plan.size.clone(),
            made_with.filter(|made| *made != plan.size),
        ),
        plan: plan.storage,
    }
}

fn inline_secret(identity: &Identity, own: &Source) -> Option<Value> {
    let pair = own.inline_keys()?;
    let entries = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Some(secret(identity, &identity.source_secret(), &entries.into()))
}

/// Whether a bucket is to be emptied with the Dataset.
const fn empties_bucket(source: &Source) -> bool {
    match source {
        Source::ObjectStore(bucket) => bucket.remove_on_delete,
        Source::Nfs(_) | Source::HostPath(_) => false,
    }
}

fn claim_of(identity: &Identity, size: &str) -> Value {
    let mut labels = json!(identity.labels());
    labels[LABEL_DATASET] = json!(identity.name);
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": identity.name,
            "namespace": identity.namespace,
            "labels": labels,
            "annotations": { SIZE_ANNOTATION: size },
        },
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": identity.handle(),
            "resources": { "requests": { "storage": size } },
        },
    })
}

fn volume_of(identity: &Identity, size: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": identity.handle(), "labels": identity.labels() },
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": { "storage": size },
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "volumeMode": "Filesystem",
            "csi": { "driver": DRIVER, "volumeHandle": identity.handle() },
        },
    })
}

/// The volume bound to this very claim.
pub(super) fn bind(mut volume: Value, identity: &Identity, claim_uid: &str) -> Value {
    volume["spec"]["claimRef"] = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": identity.namespace,
        "name": identity.name,
        "uid": claim_uid,
    });
    volume
}

fn config_map(identity: &Identity, entries: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": identity.name, "namespace": identity.namespace, "labels": identity.labels() },
        "data": entries,
    })
}

fn secret(identity: &Identity, name: &str, entries: &BTreeMap<String, String>) -> Value {
    let data: BTreeMap<&String, String> = entries
        .iter()
        .map(|(key, value)| (key, BASE64_STANDARD.encode(value)))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": identity.namespace, "labels": identity.labels() },
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use dlf_core::{api::ApiGroup, source::Source};

    use super::*;

    #[test]
    fn keys_that_are_written_into_a_dataset_become_a_secret() {
        let identity = Identity {
            group: ApiGroup::Hpsys,
            namespace: "ns".into(),
            name: "books".into(),
            uid: "u".into(),
        };
        let made = |more: Value| {
            let mut local = json!({ "type": "COS", "endpoint": "http://s3", "bucket": "books" });
            for (key, value) in more.as_object().unwrap() {
                local[key] = value.clone();
            }
            let spec = serde_json::from_value(json!({ "local": local })).unwrap();
            inline_secret(
                &identity,
                &Source::parse(&spec, &BTreeMap::new(), "ns").unwrap(),
            )
        };
        let secret = made(json!({ "accessKeyID": "id", "secretAccessKey": "key" })).unwrap();
        assert_eq!(secret["metadata"]["name"], "books-source");
        assert_eq!(secret["data"]["accessKeyID"], BASE64_STANDARD.encode("id"));
        assert!(made(json!({ "secret-name": "mine" })).is_none());
    }
}
