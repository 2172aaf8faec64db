use dlf_core::{
    api::{Dataset, DatasetInternal, DatasetSpec},
    plugin::CacheOrigin,
    source::{
        ObjectStoreSource, Source,
        keys::{ACCESS_KEY_ID, SECRET_ACCESS_KEY},
    },
};
use dlf_plugin_host::Config;
use kube::ResourceExt;

use super::{dereference::Found, internal};
use crate::controller::{error::Problem, gates, names::Identity};

/// What later steps may rely on: no raw spec is looked at again for its source.
pub(super) struct Valid {
    /// The Dataset's own source.
    pub(super) own: Source,
    /// What is planned for: the own source, the cache that stands before it, or what a controller of
    /// somebody else's made of it. Keys are in Secrets.
    pub(super) effective: Source,
    /// What stands in the DatasetInternal.
    pub(super) spec: DatasetSpec,
    pub(super) author: Author,
}

/// Who writes the DatasetInternal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// The operator; with where the cache answers that it leads to, if there is one.
    Operator(Vec<CacheOrigin>),
    /// A controller of somebody else's.
    Other,
}

impl Valid {
    /// The Dataset's own bucket, where what is planned for stands before it.
    pub(super) fn behind(&self, identity: &Identity) -> Option<ObjectStoreSource> {
        match (&self.author, &self.own) {
            (Author::Operator(caches), _) if caches.is_empty() => None,
            (_, Source::Nfs(_) | Source::HostPath(_)) => None,
            (_, Source::ObjectStore(bucket)) => Some(referring(bucket, identity)),
        }
    }

    /// Where the cache answers that is planned for.
    pub(super) fn caches(&self) -> &[CacheOrigin] {
        match &self.author {
            Author::Operator(caches) => caches,
            Author::Other => &[],
        }
    }

    /// Where the data is, whatever stands before it.
    pub(super) fn source(&self) -> &Source {
        match (&self.author, &self.own) {
            (Author::Other, Source::Nfs(_) | Source::HostPath(_)) => &self.effective,
            _ => &self.own,
        }
    }
}

pub(super) fn run(
    dataset: &Dataset,
    identity: &Identity,
    found: &Found,
    config: &Config,
) -> Result<Valid, Problem> {
    if found.elder.is_some() {
        return Err(Problem::failed(
            "NameTaken",
            format!(
                "{}/{} exists in API group {} too, and the younger of two makes nothing; delete one of them",
                identity.namespace,
                identity.name,
                identity.group.other()
            ),
        ));
    }
    let own = parse(&dataset.spec, dataset, identity, config)?;
    if let Some(given) = given(found, identity, config)? {
        return Ok(Valid {
            effective: parse(&given.spec, dataset, identity, config)?,
            own,
            spec: given.spec.clone(),
            author: Author::Other,
        });
    }
    let endpoint = found.cache.endpoint();
    Ok(Valid {
        effective: effective(&own, endpoint, identity),
        spec: effective_spec(&dataset.spec, &own, endpoint, identity),
        own,
        author: Author::Operator(found.cache.origins.clone()),
    })
}

/// A source that may be used.
fn parse(
    spec: &DatasetSpec,
    dataset: &Dataset,
    identity: &Identity,
    config: &Config,
) -> Result<Source, Problem> {
    let namespace = &identity.namespace;
    let source = Source::parse(spec, dataset.labels(), namespace)
        .map_err(|error| Problem::failed(error.reason(), error.to_string()))?;
    gates::check(config, namespace, &source)?;
    Ok(source)
}

/// The DatasetInternal of somebody else's, where one is to be followed.
fn given<'a>(
    found: &'a Found,
    identity: &Identity,
    config: &Config,
) -> Result<Option<&'a DatasetInternal>, Problem> {
    let of_others = |found: &&DatasetInternal| !internal::is_ours(found);
    let there = found.internal.as_deref().filter(of_others);
    let Some(plugin) = &found.cache.external else {
        return Ok(there.filter(|_| !config.admission.internal_writers.is_empty()));
    };
    let alive = |found: &&DatasetInternal| found.metadata.deletion_timestamp.is_none();
    there.filter(alive).map(Some).ok_or_else(|| {
        Problem::pending(
            "WaitingForPlugin",
            format!(
                "plugin {plugin} is a controller of its own, and has not made DatasetInternal {} yet; its pod is \
                 labelled dlf-plugin-name: {plugin} in the operator's namespace: look at its log",
                identity.name
            ),
        )
    })
}

/// The own source with keys in a Secret, at the endpoint of its cache if it has one.
fn effective(own: &Source, cache: Option<&str>, identity: &Identity) -> Source {
    let Source::ObjectStore(bucket) = own else {
        return own.clone();
    };
    let mut bucket = referring(bucket, identity);
    if let Some(endpoint) = cache {
        endpoint.clone_into(&mut bucket.endpoint);
    }
    Source::ObjectStore(bucket)
}

/// The same as a spec.
fn effective_spec(
    spec: &DatasetSpec,
    own: &Source,
    cache: Option<&str>,
    identity: &Identity,
) -> DatasetSpec {
    let mut spec = spec.clone();
    let Some(local) = &mut spec.local else {
        return spec;
    };
    // They never reach a DatasetInternal.
    for key in [ACCESS_KEY_ID, SECRET_ACCESS_KEY] {
        local.remove(key);
    }
    if own.inline_keys().is_some() {
        local.insert("secret-name".to_owned(), identity.source_secret());
    }
    if let Some(endpoint) = cache {
        local.insert("endpoint".to_owned(), endpoint.to_owned());
    }
    spec
}

fn referring(bucket: &ObjectStoreSource, identity: &Identity) -> ObjectStoreSource {
    bucket.clone().referring_to(|| identity.source_secret())
}

#[cfg(test)]
mod tests {
    use std::slice;

    use dlf_core::{
        api::ApiGroup,
        names::{ANNOTATION_CACHE, ANNOTATION_CACHE_ORIGINS},
    };
    use serde_json::{Value, json};

    use super::*;

    const CACHE: &str = "http://cache-1.dlf-caches.svc:8080";

    fn bucket(more: &[(&str, &str)]) -> Dataset {
        let mut local = json!({ "type": "COS", "endpoint": "http://s3", "bucket": "books" });
        for (key, value) in more {
            local[*key] = json!(value);
        }
        serde_json::from_value(json!({
            "metadata": {
                "name": "books", "namespace": "ns", "uid": "u",
                "labels": { "app.kubernetes.io/instance": "argo" },
            },
            "spec": { "local": local },
        }))
        .unwrap()
    }

    /// The effective source, and the DatasetInternal that says it.
    fn effective(dataset: &Dataset, cache: Option<&CacheOrigin>) -> (Source, Value) {
        let identity = Identity::of(dataset, ApiGroup::Hpsys).unwrap();
        let own = Source::parse(&dataset.spec, dataset.labels(), "ns").unwrap();
        let endpoint = cache.map(|cache| cache.endpoint.as_str());
        let spec = effective_spec(&dataset.spec, &own, endpoint, &identity);
        let internal = internal::desired(&identity, &spec, cache.map_or(&[], slice::from_ref));
        (super::effective(&own, endpoint, &identity), internal)
    }

    #[test]
    fn the_effective_source_refers_to_keys_and_what_is_planned_is_what_is_written_down() {
        let keys = [("accessKeyID", "id"), ("secretAccessKey", "key-itself")];
        for (more, secret) in [
            (&keys[..], "books-source"),
            (&[("secret-name", "mine")], "mine"),
        ] {
            for cache in [None, Some(CacheOrigin::at(CACHE))] {
                let dataset = bucket(more);
                let (source, internal) = effective(&dataset, cache.as_ref());
                assert_eq!(internal["spec"]["local"]["secret-name"], secret);
                assert!(!internal.to_string().contains("key-itself"));
                let spec = serde_json::from_value(internal["spec"].clone()).unwrap();
                let written = Source::parse(&spec, dataset.labels(), "ns").unwrap();
                assert_eq!(source, written);
            }
        }
    }

    #[test]
    fn with_a_cache_the_effective_source_is_at_the_caches_endpoint() {
        let mut cache = CacheOrigin::at(CACHE);
        let (_, internal) = effective(&bucket(&[]), Some(&cache));
        assert_eq!(internal["spec"]["local"]["endpoint"], CACHE);
        assert_eq!(internal["spec"]["local"]["bucket"], "books");
        let annotations = &internal["metadata"]["annotations"];
        assert_eq!(annotations[ANNOTATION_CACHE], CACHE);
        assert!(annotations.get(ANNOTATION_CACHE_ORIGINS).is_none());

        cache.shards = vec!["http://cache-1-0.cache-1-shards.dlf-caches.svc:8080".to_owned()];
        let (_, internal) = effective(&bucket(&[]), Some(&cache));
        let annotations = &internal["metadata"]["annotations"];
        let origins = annotations[ANNOTATION_CACHE_ORIGINS].as_str().unwrap();
        let origins: Vec<CacheOrigin> = serde_json::from_str(origins).unwrap();
        assert_eq!(origins, [cache]);
    }

    #[test]
    fn labels_of_a_dataset_are_not_given_to_what_it_makes() {
        let dataset = bucket(&[]);
        let (_, internal) = effective(&dataset, None);
        let labels = internal["metadata"]["labels"].as_object().unwrap();
        assert!(dataset.labels().keys().all(|key| !labels.contains_key(key)));
        assert_eq!(labels["dlf.dev/dataset-uid"], "u");
    }
}
