use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};

/// The status of a Dataset and of a DatasetInternal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DatasetStatus {
    /// The generation of the spec this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the claim and its like stand, in the original's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision: Option<PhaseStatus>,
    /// Where the cache stands, in the original's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caching: Option<CachingStatus>,
    /// `TYPE address`, for the Source column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What is true of the dataset and why; see [`crate::condition`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Who uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageStatus>,
    /// Its cache, when there is to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Box<CacheStatus>>,
}

/// The cache of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheStatus {
    /// The plugin that plans it.
    pub plugin: String,
    /// Why there is one.
    pub decision: DecisionStatus,
    /// Kubernetes quantity: the total that was decided on.
    pub capacity: String,
    /// Kubernetes quantity: what it holds of that; none while nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// Of the bytes that were asked of it, the part that it had, in percent; none while nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit_ratio: Option<u8>,
    /// Names of nodes that hold some of its data, at most [`PLACEMENTS_MAX`](super::PLACEMENTS_MAX).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<String>,
    /// Where reads go first; none while it does not serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What was loaded into it before anybody asked; none where nothing was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<WarmupStatus>,
}

/// How far loading data into a cache is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarmupStatus {
    /// `Loading`, `Done` or `Failed`.
    pub state: String,
    /// Objects that were read.
    pub objects: u64,
    /// Kubernetes quantity: bytes of these, by steps of a sixty-fourth.
    pub loaded: String,
    /// Which cache and which paths this is about, as a hash: with others it begins anew.
    pub of: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What was decided about a cache, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionStatus {
    /// `Deploy`.
    pub action: String,
    /// A sentence for a person.
    pub reason: String,
    /// RFC 3339: when it was decided; none where the spec itself decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The figures that it was made of, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, String>,
}

/// Where the cache stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CachingStatus {
    /// One of the original's words.
    pub status: Phase,
    /// A sentence for a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub info: String,
    /// Nodes near the data, as a controller of somebody else's says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placements: Option<Placements>,
}

impl From<PhaseStatus> for CachingStatus {
    fn from(PhaseStatus { status, info }: PhaseStatus) -> Self {
        Self {
            status,
            info,
            placements: None,
        }
    }
}

impl From<CachingStatus> for PhaseStatus {
    fn from(CachingStatus { status, info, .. }: CachingStatus) -> Self {
        Self { status, info }
    }
}

/// Nodes near the data, in the original's words and by label; at most [`PLACEMENTS_MAX`](super::PLACEMENTS_MAX) of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Placements {
    /// Nodes from which the cache is reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<NodeLabel>,
    /// Nodes that hold data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub datalocations: Vec<NodeLabel>,
}

/// A label of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeLabel {
    /// `kubernetes.io/hostname`, as a rule.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// A phase with its explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhaseStatus {
    /// One of the original's words.
    pub status: Phase,
    /// A sentence for a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub info: String,
}

/// The original's words for where something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Seen, nothing done yet.
    #[default]
    Initializing,
    /// Waiting for something that `info` names.
    Pending,
    /// Done.
    OK,
    /// Not wanted.
    Disabled,
    /// Wrong in a way that only an edit cures.
    Failed,
}

/// Who uses a dataset, as far as the operator has written it down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageStatus {
    /// Pods that use it now.
    pub consumers: u32,
    /// Nodes that have it mounted now.
    pub nodes: u32,
    /// RFC 3339; when a consumer was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_time: Option<String>,
    /// Bytes read through mounts since the Dataset was made.
    pub bytes_read: u64,
    /// Of those, bytes that came from a cache.
    pub bytes_read_from_cache: u64,
    /// Bytes written through mounts since the Dataset was made.
    pub bytes_written: u64,
}
