use base64::{Engine, prelude::BASE64_STANDARD};
use dlf_core::{
    api::{Dataset, DatasetInternal, DatasetSpec},
    names::ANNOTATION_CACHE,
    source::{KeySource, Source},
};
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

/// With a cache the effective source is at the cache's endpoint.
pub(super) fn run(
    dataset: &Dataset,
    identity: &Identity,
    valid: &Valid,
    cache: Option<&str>,
) -> Built {
    let inline_keys = match &valid.source {
        Source::ObjectStore(bucket) => inline_secret(identity, &bucket.keys),
        Source::Nfs(_) | Source::HostPath(_) => None,
    };
    let mut spec = effective_spec(dataset, identity, inline_keys.is_some());
    if let (Some(endpoint), Some(local)) = (cache, &mut spec.local) {
        local.insert("endpoint".to_owned(), endpoint.to_owned());
    }
    Built {
        inline_keys,
        internal: internal(identity, &spec, cache),
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

/// The Dataset's own labels stay its own: those of tools like Argo CD would make them take this for
/// an object of theirs, and delete what they do not know.
fn internal(identity: &Identity, spec: &DatasetSpec, cache: Option<&str>) -> Value {
    let mut annotations = json!({});
    if let Some(endpoint) = cache {
        annotations[ANNOTATION_CACHE] = json!(endpoint);
    }
    json!({
        "apiVersion": identity.group.api_version(),
        "kind": DatasetInternal::KIND,
        "metadata": {
            "name": identity.name,
            "namespace": identity.namespace,
            "labels": identity.labels(),
            "annotations": annotations,
        },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use dlf_core::api::ApiGroup;
    use kube::ResourceExt;

    use super::*;

    fn built(local: &Value) -> (Built, Dataset) {
        let dataset: Dataset = serde_json::from_value(json!({
            "metadata": {
                "name": "books", "namespace": "ns", "uid": "u",
                "labels": { "app.kubernetes.io/instance": "argo" },
            },
            "spec": { "local": local },
        }))
        .unwrap();
        let identity = Identity::of(&dataset, ApiGroup::Hpsys).unwrap();
        let source = Source::parse(&dataset.spec, dataset.labels(), "ns").unwrap();
        (run(&dataset, &identity, &Valid { source }, None), dataset)
    }

    fn bucket(more: &[(&str, &str)]) -> Value {
        let mut local = json!({ "type": "COS", "endpoint": "http://s3", "bucket": "books" });
        for (key, value) in more {
            local[*key] = json!(value);
        }
        local
    }

    #[test]
    fn inline_keys_become_a_secret_and_the_effective_source_a_reference() {
        let keys = [("accessKeyID", "id"), ("secretAccessKey", "key-itself")];
        let (built, _) = built(&bucket(&keys));
        assert_eq!(
            built.internal["spec"]["local"]["secret-name"],
            "books-source"
        );
        assert!(!built.internal.to_string().contains("key-itself"));
        let secret = built.inline_keys.unwrap();
        assert_eq!(secret["metadata"]["name"], "books-source");
        let (named, _) = self::built(&bucket(&[("secret-name", "mine")]));
        assert!(named.inline_keys.is_none());
        assert_eq!(named.internal["spec"]["local"]["secret-name"], "mine");
    }

    #[test]
    fn with_a_cache_the_effective_source_is_at_the_caches_endpoint() {
        let (_, dataset) = built(&bucket(&[]));
        let identity = Identity::of(&dataset, ApiGroup::Hpsys).unwrap();
        let source = Source::parse(&dataset.spec, dataset.labels(), "ns").unwrap();
        let endpoint = "http://cache-1.dlf-caches.svc:8080";
        let built = run(&dataset, &identity, &Valid { source }, Some(endpoint));
        assert_eq!(built.internal["spec"]["local"]["endpoint"], endpoint);
        assert_eq!(built.internal["spec"]["local"]["bucket"], "books");
        let annotations = &built.internal["metadata"]["annotations"];
        assert_eq!(annotations[ANNOTATION_CACHE], endpoint);
    }

    #[test]
    fn labels_of_a_dataset_are_not_given_to_what_it_makes() {
        let (built, dataset) = built(&bucket(&[]));
        let labels = built.internal["metadata"]["labels"].as_object().unwrap();
        assert!(dataset.labels().keys().all(|key| !labels.contains_key(key)));
        assert_eq!(labels["dlf.dev/dataset-uid"], "u");
    }
}
