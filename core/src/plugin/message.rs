//! What host and plugin say to each other: protocol version 2, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CachingRequest, PlanError, StorageRequest};

/// One call with its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The protocol version that `call` is written in; one that both sides speak.
    pub protocol: u32,
    /// What is asked.
    #[serde(flatten)]
    pub call: Call,
}

/// What a host asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "call", content = "request", rename_all = "camelCase")]
pub enum Call {
    /// Who are you? Answered with a `PluginInfo`.
    Describe,
    /// Answered with a `StoragePlan`.
    PlanStorage(Box<StorageRequest>),
    /// Answered with a `CachingPlan`.
    PlanCaching(Box<CachingRequest>),
}

/// What a plugin answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// What was asked for.
    Ok(Value),
    /// Why it cannot be had.
    Error(PlanError),
}
