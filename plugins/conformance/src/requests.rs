//! What plugins are asked: sources of every type and shape.

use std::collections::BTreeMap;

use dlf_core::{
    api::{Medium, MountSpec},
    plugin::{
        CacheDecision, CachePlace, CachingRequest, DatasetRef, Intent, Needs, Observed,
        StorageRequest, Warm,
    },
    source::{
        BucketPath, HostPathSource, KeySource, NfsSource, ObjectStoreSource, Source, SourceType,
    },
};
use serde_json::Value;

fn dataset() -> DatasetRef {
    DatasetRef {
        namespace: "conformance".to_owned(),
        name: "books".to_owned(),
        uid: "0f0e0d0c-0b0a-4908-8706-050403020100".to_owned(),
        labels: BTreeMap::from([("tier".to_owned(), "hot".to_owned())]),
    }
}

fn buckets() -> Vec<ObjectStoreSource> {
    let plain = ObjectStoreSource {
        endpoint: "http://s3.example.com:9000".to_owned(),
        location: BucketPath {
            bucket: "books".to_owned(),
            prefix: String::new(),
        },
        region: String::new(),
        keys: KeySource::Anonymous,
        ca_secret: None,
        readonly: false,
        provision: false,
        remove_on_delete: false,
    };
    let full = ObjectStoreSource {
        endpoint: "https://s3.example.com".to_owned(),
        location: BucketPath {
            bucket: "books".to_owned(),
            prefix: "train/".to_owned(),
        },
        region: "eu-central-1".to_owned(),
        keys: KeySource::Secret {
            name: "keys".to_owned(),
        },
        ca_secret: Some("ca".to_owned()),
        readonly: true,
        provision: true,
        remove_on_delete: true,
    };
    vec![plain, full]
}

fn sources(kind: SourceType) -> Vec<Source> {
    match kind {
        SourceType::Cos => buckets().into_iter().map(Source::ObjectStore).collect(),
        SourceType::Nfs => [false, true]
            .map(|readonly| {
                Source::Nfs(NfsSource {
                    server: "nfs.example.com".to_owned(),
                    share: "/share/books".to_owned(),
                    create: !readonly,
                    readonly,
                    mount_options: if readonly { "hard,nfsvers=4.1" } else { "" }.to_owned(),
                })
            })
            .to_vec(),
        SourceType::Host => [false, true]
            .map(|readonly| {
                Source::HostPath(HostPathSource {
                    path: "/data/books".to_owned(),
                    create: !readonly,
                    readonly,
                })
            })
            .to_vec(),
    }
}

/// Mounts of every source that a plugin says it plans.
pub(crate) fn storage(kinds: &[SourceType], intent: Intent, config: &Value) -> Vec<StorageRequest> {
    let sources = kinds.iter().flat_map(|kind| sources(*kind));
    sources
        .map(|source| StorageRequest {
            dataset: dataset(),
            source,
            mount: MountSpec::default(),
            revalidate_ms: Some(60_000),
            intent,
            config: config.clone(),
        })
        .collect()
}

/// Caches in front of every kind of bucket, small and in memory, and large and in shards.
pub(crate) fn caching(intent: Intent, needs: Needs, config: &Value) -> Vec<CachingRequest> {
    let warm = Warm {
        paths: vec!["train/".to_owned()],
    };
    let decisions = [
        (1 << 30, 1, Medium::Memory, Some(0), None),
        (1 << 40, 3, Medium::Disk, None, Some(warm)),
    ];
    let place = CachePlace {
        namespace: "dlf-caches".to_owned(),
        name: "cache-0f0e0d0c".to_owned(),
        labels: BTreeMap::from([("dlf.dev/cache".to_owned(), "0f0e0d0c".to_owned())]),
        key_secret: None,
    };
    buckets()
        .into_iter()
        .zip(decisions)
        .map(
            |(source, (capacity_bytes, replicas, medium, revalidate_ms, warm))| CachingRequest {
                dataset: dataset(),
                decision: CacheDecision {
                    capacity_bytes,
                    replicas,
                    medium,
                    revalidate_ms,
                    warm,
                    why: "spec.cache.mode is Always".to_owned(),
                },
                place: place.clone().with_keys(needs, &source),
                source,
                intent,
                observed: Observed::default(),
                config: config.clone(),
            },
        )
        .collect()
}
