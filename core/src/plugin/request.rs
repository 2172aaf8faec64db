use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{api::MountSpec, source::Source};

/// What a storage plugin is asked to plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StorageRequest {
    /// Whose plan it is.
    pub dataset: DatasetRef,
    /// Where the data is; inline keys are already replaced by a reference to a Secret.
    pub source: Source,
    /// How pods want to see it.
    pub mount: MountSpec,
    /// How stale a read may be, in milliseconds; none: the first answer is trusted.
    pub revalidate_ms: Option<u64>,
    /// Whether the dataset is to exist or to go.
    pub intent: Intent,
    /// The plugin's own section of the configuration.
    pub config: serde_json::Value,
}

/// A dataset by its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DatasetRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Whether a dataset is to exist or to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Intent {
    /// Plan what it needs.
    Exist,
    /// Plan what is left to do before it goes.
    Delete,
}
