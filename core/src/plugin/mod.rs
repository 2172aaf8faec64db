//! Plugins are planners: what should exist, given what was asked and what was observed.
//!
//! A plugin holds no client and no rights, and its pods no keys but those that it was granted, so a plan
//! can be made and tested without a cluster, and `plan` gives the same answer when what it planned is already there.

mod caching;
mod caching_plan;
mod info;
mod message;
mod observed;
mod plan;
pub mod policy;
mod request;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use caching::{CacheDecision, CachePlace, CachingRequest, Warm};
pub use caching_plan::{CacheCondition, CacheKeys, CacheOrigin, CacheTask, CachingPlan};
pub use info::{KindRef, Needs, PROTOCOL, PluginInfo, PluginKind, ProtocolRange};
pub use message::{Call, Message, Reply};
pub use observed::{CACHE_STATS, CacheStats, EndpointStatus, Observed, TaskOutcome, TaskResult};
pub use plan::{
    FileSystem, HostPathMount, Mount, NfsMount, ObjectStoreMount, OriginRef, SecretEntry,
    StoragePlan, Task, Volume,
};
pub use request::{DatasetRef, Intent, StorageRequest};

/// Plans how pods mount a source of some types.
#[async_trait]
pub trait StoragePlugin: Send + Sync {
    /// Who it is and what it can do; the same at each call.
    fn describe(&self) -> PluginInfo;

    /// What should exist for this dataset.
    ///
    /// # Errors
    /// When the request cannot be planned: what stands in the way, for the dataset's condition.
    async fn plan(&self, request: &StorageRequest) -> Result<StoragePlan, PlanError>;
}

/// Plans a cache in front of a bucket.
#[async_trait]
pub trait CachingPlugin: Send + Sync {
    /// Who it is and what it can do; the same at each call.
    fn describe(&self) -> PluginInfo;

    /// What should exist for this dataset's cache.
    ///
    /// # Errors
    /// When the request cannot be planned: what stands in the way, for the dataset's condition.
    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError>;
}

/// Why a plugin gives no plan.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct PlanError {
    /// A class in CamelCase, for the condition's reason.
    pub reason: String,
    /// A sentence for a person: what was found, where, and the way out.
    pub message: String,
    /// How long its plugin is not asked again, where the host has decided on that: no plugin says so.
    #[serde(skip)]
    pub again_in: Option<Duration>,
}

impl PlanError {
    /// An error of its two parts.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            again_in: None,
        }
    }
}
