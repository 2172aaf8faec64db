use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use dlf_core::{
    names::{DRIVER, LABEL_DATASET},
    plugin::{FileSystem, Mount, Volume},
    source::Source,
};
use dlf_plugin_host::Config;
use dlf_wire::dataset::v1::{
    DatasetConfig, FuseVolume, HostPathVolume, NfsVolume, Origin, dataset_config,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{dereference::Found, validate::Valid};
use crate::controller::{Context, error::Problem, names::Identity, owned::SIZE_ANNOTATION};

/// How long a request waits for a source that is away.
const SOURCE_TIMEOUT_MS: u64 = 90_000;

/// Everything that should exist, or why it cannot.
pub(super) struct Built {
    pub(super) plan: dlf_core::plugin::StoragePlan,
    pub(super) size: String,
    pub(super) source: String,
    pub(super) claim: Value,
    /// Without its claimRef, which needs the claim's uid.
    pub(super) volume: Value,
    pub(super) config_map: Value,
    pub(super) consumer_secret: Result<Value, Problem>,
    pub(super) node_config: Result<DatasetConfig, Problem>,
    pub(super) origins: Vec<Origin>,
    /// Whether the origins, with their keys, are needed once more when the Dataset goes.
    pub(super) keeps_origins: bool,
}

pub(super) fn run(identity: &Identity, valid: &Valid, found: &Found, ctx: &Context) -> Built {
    let claim = ctx.shared.writer.index().get(&identity.claim());
    let size = claim
        .and_then(|claim| claim.size)
        .unwrap_or_else(|| valid.size.clone());
    let Volume::Mount(mount) = &valid.plan.volume;
    let origins = found.origins.clone();
    Built {
        claim: claim_of(identity, &size),
        volume: volume_of(identity, &size),
        config_map: config_map(identity, &valid.plan.config_map),
        consumer_secret: found
            .consumer_secret
            .clone()
            .map(|entries| secret(identity, &entries)),
        node_config: origins
            .clone()
            .and_then(|origins| node_config(identity, mount, origins, ctx.shared.plugins.config())),
        origins: origins.unwrap_or_default(),
        keeps_origins: empties_bucket(&valid.source),
        source: valid.source.address(),
        plan: valid.plan.clone(),
        size: valid.size.clone(),
    }
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

fn secret(identity: &Identity, entries: &BTreeMap<String, String>) -> Value {
    let data: BTreeMap<&String, String> = entries
        .iter()
        .map(|(key, value)| (key, BASE64_STANDARD.encode(value)))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": identity.name, "namespace": identity.namespace, "labels": identity.labels() },
        "data": data,
    })
}

fn node_config(
    identity: &Identity,
    mount: &Mount,
    origins: Vec<Origin>,
    config: &Config,
) -> Result<DatasetConfig, Problem> {
    let volume = match &mount.file_system {
        FileSystem::ObjectStore(store) => dataset_config::Volume::Fuse(FuseVolume {
            program: store.program.clone(),
            options: store.options.clone().into_iter().collect(),
            origins,
            uid: store.uid,
            gid: store.gid,
            umask: store.umask,
            revalidate_ms: store.revalidate_ms,
            source_timeout_ms: SOURCE_TIMEOUT_MS,
        }),
        FileSystem::Nfs(export) => dataset_config::Volume::Nfs(NfsVolume {
            server: export.server.clone(),
            share: export.share.clone(),
            options: export.options.clone(),
            create: export.create,
        }),
        FileSystem::HostPath(directory) => {
            let rule = config
                .host_path_rule(&identity.namespace, &directory.path)
                .ok_or_else(|| {
                    Problem::failed(
                        "HostPathNotAllowed",
                        "spec.local.path is not below an allowed prefix",
                    )
                })?;
            dataset_config::Volume::HostPath(HostPathVolume {
                prefix: rule.prefix.clone(),
                path: directory.path[rule.prefix.len()..]
                    .trim_start_matches('/')
                    .to_owned(),
                create: directory.create,
            })
        }
    };
    Ok(DatasetConfig {
        volume_handle: identity.handle(),
        version: 0,
        namespace: identity.namespace.clone(),
        name: identity.name.clone(),
        source_revision: source_revision(&volume),
        readonly: mount.readonly,
        volume: Some(volume),
    })
}

/// Hash of what needs another mount when it changes: type, place and mount options, but neither
/// keys nor endpoint.
fn source_revision(volume: &dataset_config::Volume) -> String {
    let text = match volume {
        dataset_config::Volume::Fuse(fuse) => {
            // A cache in front of the source changes no mount.
            let source = fuse.origins.last();
            let places: Vec<_> = source
                .iter()
                .map(|origin| (&origin.bucket, &origin.prefix))
                .collect();
            let options: BTreeMap<_, _> = fuse.options.iter().collect();
            format!(
                "fuse {} {options:?} {places:?} {:?} {:?} {:o}",
                fuse.program, fuse.uid, fuse.gid, fuse.umask
            )
        }
        dataset_config::Volume::Nfs(nfs) => {
            format!("nfs {} {} {}", nfs.server, nfs.share, nfs.options)
        }
        dataset_config::Volume::HostPath(path) => format!("host {} {}", path.prefix, path.path),
    };
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}
