use std::sync::Arc;

use dlf_core::plugin::{
    CachingPlugin, Call, Message, PROTOCOL, PlanError, PluginInfo, Reply, StoragePlugin,
};
use serde::Serialize;

/// A plugin of either kind, as every carrier runs it.
#[derive(Clone)]
pub enum Plugin {
    /// Plans how pods mount a source.
    Storage(Arc<dyn StoragePlugin>),
    /// Plans a cache in front of a source.
    Caching(Arc<dyn CachingPlugin>),
}

impl Plugin {
    /// One that plans how pods mount a source.
    pub fn storage(plugin: impl StoragePlugin + 'static) -> Self {
        Self::Storage(Arc::new(plugin))
    }

    /// One that plans a cache in front of a source.
    pub fn caching(plugin: impl CachingPlugin + 'static) -> Self {
        Self::Caching(Arc::new(plugin))
    }

    /// Who it is and what it can do.
    #[must_use]
    pub fn describe(&self) -> PluginInfo {
        match self {
            Self::Storage(plugin) => plugin.describe(),
            Self::Caching(plugin) => plugin.describe(),
        }
    }

    /// Answers a message of the protocol.
    pub async fn answer(&self, message: &[u8]) -> Reply {
        let message = match serde_json::from_slice::<Message>(message) {
            Ok(message) => message,
            Err(error) => return unreadable(&error.to_string()),
        };
        if message.protocol != PROTOCOL {
            return unreadable(&format!(
                "it is of protocol version {}, and this plugin speaks {PROTOCOL}",
                message.protocol
            ));
        }
        match (message.call, self) {
            (Call::Describe, _) => ok(&self.describe()),
            (Call::PlanStorage(request), Self::Storage(plugin)) => {
                plan(plugin.plan(&request).await)
            }
            (Call::PlanCaching(request), Self::Caching(plugin)) => {
                plan(plugin.plan(&request).await)
            }
            (Call::PlanStorage(_), Self::Caching(_)) => {
                unreadable("a caching plugin plans no mounts")
            }
            (Call::PlanCaching(_), Self::Storage(_)) => {
                unreadable("a storage plugin plans no caches")
            }
        }
    }
}

fn plan(plan: Result<impl Serialize, PlanError>) -> Reply {
    match plan {
        Ok(plan) => ok(&plan),
        Err(error) => Reply::Error(error),
    }
}

fn ok(value: &impl Serialize) -> Reply {
    match serde_json::to_value(value) {
        Ok(value) => Reply::Ok(value),
        Err(error) => Reply::Error(PlanError::new(
            "PluginFailed",
            format!("the plugin's answer cannot be written as JSON: {error}"),
        )),
    }
}

fn unreadable(why: &str) -> Reply {
    Reply::Error(PlanError::new(
        "PluginProtocol",
        format!("the plugin does not understand the host's message: {why}"),
    ))
}
