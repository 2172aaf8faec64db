use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DatasetRef, Intent, Needs, Observed};
use crate::{
    api::Medium,
    source::{KeySource, ObjectStoreSource},
};

/// What a caching plugin is asked to plan: a cache in front of a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CachingRequest {
    /// Whose plan it is.
    pub dataset: DatasetRef,
    /// Where the data is; inline keys are already replaced by a reference to a Secret.
    pub source: ObjectStoreSource,
    /// How large a cache was decided on.
    pub decision: CacheDecision,
    /// What its objects are called and where they go.
    pub place: CachePlace,
    /// Whether the cache is to exist or to go.
    pub intent: Intent,
    /// What exists of what it planned before.
    pub observed: Observed,
    /// The plugin's own section of the configuration.
    pub config: Value,
}

/// How large a cache was decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CacheDecision {
    /// Bytes of all replicas together.
    pub capacity_bytes: u64,
    /// Replicas, which are shards.
    pub replicas: u32,
    /// What it is kept on.
    pub medium: Medium,
    /// How stale a read may be, in milliseconds; none: the first answer is trusted.
    pub revalidate_ms: Option<u64>,
    /// What is to be read into it before anybody asks; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warm>,
    /// Why there is one, in a sentence for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What of a dataset is to be read into its cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Warm {
    /// What its keys begin with, below the prefix of the source; empty: everything.
    pub paths: Vec<String>,
}

/// What the objects of a cache are called and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CachePlace {
    /// The namespace of every object.
    pub namespace: String,
    /// The name of every object, or `NAME-…` where there are several of a kind.
    pub name: String,
    /// Labels that select this cache's pods and no others.
    pub labels: BTreeMap<String, String>,
    /// A Secret of that namespace with the source's keys ([`crate::source::keys`]) and, where the source
    /// has a private CA, `ca.crt`. Pods may mount it; it changes when the source's keys do. None: the plugin
    /// needs no keys, or the source has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<String>,
}

impl CachePlace {
    /// The place with a Secret of the source's keys, if the plugin needs them and the source has any.
    #[must_use]
    pub fn with_keys(self, needs: Needs, source: &ObjectStoreSource) -> Self {
        let has_some = source.keys != KeySource::Anonymous || source.ca_secret.is_some();
        let key_secret = (needs.source_keys && has_some).then(|| format!("{}-source", self.name));
        Self { key_secret, ..self }
    }

    /// Whether an object of this name belongs to the cache.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        name.strip_prefix(self.name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}
