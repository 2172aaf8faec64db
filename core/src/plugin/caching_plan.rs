use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Warm;
use crate::shards::SHARD_BYTES_DEFAULT;

/// What should exist for a cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct CachingPlan {
    /// Kubernetes objects, without a status. One that is planned no longer is deleted.
    pub objects: Vec<Value>,
    /// Where reads go before they go to the source, in this order; none while the cache cannot serve.
    /// The first is what pods find that have the dataset in their environment.
    pub origins: Vec<CacheOrigin>,
    /// What is to be said of it.
    pub condition: CacheCondition,
    /// Work for the worker; what came of it stands in [`Observed::results`](super::Observed::results).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<CacheTask>,
    /// `http://` URLs, with a path, at which replicas say how they do: each answers GET with
    /// [`CacheStats`](super::CacheStats). A worker asks them every 30 s.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_endpoints: Vec<String>,
    /// Names of nodes that hold some of the data, those with most of it first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<String>,
    /// Milliseconds after which to plan again although nothing changed.
    pub requeue_after_ms: Option<u64>,
}

/// Work that touches a source or a cache, done by a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CacheTask {
    /// Read this through the plan's first origin, as mounts do, so that the cache comes to have it. It is
    /// done once; another `paths` is another task.
    Warm(Warm),
}

/// Where a cache answers ranged reads of a version that the source named. Bucket, prefix and region
/// are the source's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CacheOrigin {
    /// `http://` URL of a Service of the plan, behind which every replica has everything, or gets it.
    pub endpoint: String,
    /// `http://` URLs of replicas, each of which keeps the units that rendezvous hashing gives it
    /// ([`crate::shards::shard_of`]): a mount asks the one that has a unit. Empty: it asks `endpoint`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<String>,
    /// Bytes of a unit; 0: objects are kept in one piece.
    #[serde(default = "shard_bytes_default")]
    pub shard_bytes: u64,
    /// What requests to it are signed with.
    #[serde(default, skip_serializing_if = "CacheKeys::are_the_sources")]
    pub keys: CacheKeys,
}

impl CacheOrigin {
    /// The replicas behind one endpoint, which requests with the source's keys go to.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            shards: Vec::new(),
            shard_bytes: SHARD_BYTES_DEFAULT,
            keys: CacheKeys::Source,
        }
    }
}

const fn shard_bytes_default() -> u64 {
    SHARD_BYTES_DEFAULT
}

/// What requests to a cache are signed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CacheKeys {
    /// The source's keys, for the host of the cache: it checks them, or passes the signature and the
    /// header `Host` on to a source that does.
    #[default]
    Source,
    /// Nothing: the cache has another way to the source, or the source is public.
    None,
}

impl CacheKeys {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn are_the_sources(&self) -> bool {
        *self == Self::Source
    }
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
