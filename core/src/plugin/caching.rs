use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DatasetRef, Intent};
use crate::{api::Medium, source::ObjectStoreSource};

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
}

impl CachePlace {
    /// Whether an object of this name belongs to the cache.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        name.strip_prefix(self.name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// What exists of what a plugin planned before, as the API server shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Observed {
    /// Objects of this cache, of the kinds that the plugin observes.
    pub objects: Vec<Value>,
}

/// What should exist for a cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct CachingPlan {
    /// Kubernetes objects, without a status. One that is planned no longer is deleted.
    pub objects: Vec<Value>,
    /// Where reads go first; none while the cache cannot serve.
    pub origin: Option<CacheOrigin>,
    /// What is to be said of it.
    pub condition: CacheCondition,
    /// Milliseconds after which to plan again although nothing changed.
    pub requeue_after_ms: Option<u64>,
}

/// Where a cache answers. Bucket, prefix and region are the source's, and so are the keys that
/// requests are signed with: a cache that checks none passes signatures on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CacheOrigin {
    /// `http://` URL of a Service of the plan.
    pub endpoint: String,
}

/// Whether a cache serves, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CacheCondition {
    /// Whether it serves.
    pub ready: bool,
    /// A class in CamelCase.
    pub reason: String,
    /// A sentence for a person.
    pub message: String,
}

impl CacheCondition {
    /// A cache that serves.
    #[must_use]
    pub fn ready(message: impl Into<String>) -> Self {
        Self {
            ready: true,
            reason: "Ready".to_owned(),
            message: message.into(),
        }
    }

    /// A cache that does not serve yet.
    #[must_use]
    pub fn waiting(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            ready: false,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

impl Default for CacheCondition {
    fn default() -> Self {
        Self::waiting("Deploying", "the cache is being deployed")
    }
}
