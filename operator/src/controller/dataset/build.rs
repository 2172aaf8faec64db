use base64::{Engine, prelude::BASE64_STANDARD};
use dlf_core::{
    api::{Dataset, DatasetInternal, DatasetSpec},
    source::{KeySource, Source},
};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::validate::Valid;
use crate::controller::names::Identity;

/// Keys of `spec.local` that never reach a DatasetInternal.
const INLINE_KEYS: [&str; 2] = ["accessKeyID", "secretAccessKey"];

/// What a Dataset makes itself; the rest is made for its DatasetInternal.
pub(super) struct Built {
    /// Keys that were written into the Dataset, as the Secret `NAME-source`.
    pub(super) inline_keys: Option<Value>,
    pub(super) internal: Value,
}

pub(super) fn run(dataset: &Dataset, identity: &Identity, valid: &Valid) -> Built {
    let inline_keys = match &valid.source {
        Source::ObjectStore(bucket) => inline_secret(identity, &bucket.keys),
        Source::Nfs(_) | Source::HostPath(_) => None,
    };
    let spec = effective_spec(dataset, identity, inline_keys.is_some());
    Built {
        inline_keys,
        internal: internal(dataset, identity, &spec),
    }
}

fn inline_secret(identity: &Identity, keys: &KeySource) -> Option<Value> {
    let KeySource::Inline {
        access_key_id,
        secret_access_key,
    } = keys
    else {
        return None;
    };
    Some(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": identity.source_secret(),
            "namespace": identity.namespace,
            "labels": identity.labels(),
        },
        "data": {
            "accessKeyID": BASE64_STANDARD.encode(access_key_id),
            "secretAccessKey": BASE64_STANDARD.encode(secret_access_key),
        },
    }))
}

/// The spec with a reference where keys were.
fn effective_spec(dataset: &Dataset, identity: &Identity, inline: bool) -> DatasetSpec {
    let mut spec = dataset.spec.clone();
    if let Some(local) = &mut spec.local {
        for key in INLINE_KEYS {
            local.remove(key);
        }
        if inline {
            local.insert("secret-name".to_owned(), identity.source_secret());
        }
    }
    spec
}

fn internal(dataset: &Dataset, identity: &Identity, spec: &DatasetSpec) -> Value {
    let mut labels = json!(dataset.labels());
    for (key, value) in identity.labels() {
        labels[key] = Value::String(value);
    }
    json!({
        "apiVersion": identity.group.api_version(),
        "kind": DatasetInternal::KIND,
        "metadata": { "name": identity.name, "namespace": identity.namespace, "labels": labels },
        "spec": spec,
    })
}
