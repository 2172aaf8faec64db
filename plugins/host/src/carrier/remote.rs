use std::sync::Arc;

use async_trait::async_trait;
use dlf_core::plugin::{
    CachingPlan, CachingPlugin, CachingRequest, Call, Message, PROTOCOL, PlanError, PluginInfo,
    ProtocolRange, Reply, StoragePlan, StoragePlugin, StorageRequest,
};
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{Channel, Fault, Question, Whose};

/// A plugin at the end of a channel.
#[derive(Clone)]
pub struct Remote {
    info: PluginInfo,
    channel: Arc<dyn Channel>,
}

/// Why host and plugin do not come together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NegotiationError {
    /// It does not say who it is.
    #[error("the plugin does not say who it is: {0}")]
    Silent(Fault),
    /// It refuses to speak this host's protocol.
    #[error(
        "the plugin does not speak protocol {PROTOCOL}, as this host does: {0}; docs/plugin-protocol.md, section \
         Versions, tells what changed"
    )]
    Refused(PlanError),
    /// It cannot say who it is.
    #[error("the plugin cannot say who it is: {0}")]
    Failed(PlanError),
    /// No protocol version in common.
    #[error(
        "plugin {name:?} speaks protocol {min} to {max}, this host {PROTOCOL}; use a version of the plugin that \
         speaks it, or an older host: docs/plugin-protocol.md, section Versions, tells what changed"
    )]
    Protocol {
        /// The plugin.
        name: String,
        /// Its lowest.
        min: u32,
        /// Its highest.
        max: u32,
    },
}

impl From<NegotiationError> for PlanError {
    fn from(error: NegotiationError) -> Self {
        let message = error.to_string();
        let reason = match error {
            NegotiationError::Silent(fault) => {
                let told = fault.error();
                return Self { message, ..told };
            }
            NegotiationError::Failed(_) => "PluginFailed",
            NegotiationError::Refused(_) | NegotiationError::Protocol { .. } => "PluginProtocol",
        };
        Self::new(reason, message)
    }
}

impl Remote {
    /// Asks who is there and whether both speak one protocol.
    pub async fn meet(channel: Arc<dyn Channel>) -> Result<Self, NegotiationError> {
        let answered = ask(channel.as_ref(), Call::Describe).await;
        let info: PluginInfo = match answered {
            Ok(Ok(info)) => info,
            Ok(Err(error)) if error.reason == "PluginProtocol" => {
                return Err(NegotiationError::Refused(error));
            }
            Ok(Err(error)) => return Err(NegotiationError::Failed(error)),
            Err(fault) => return Err(NegotiationError::Silent(fault)),
        };
        let ProtocolRange { min, max } = info.protocol;
        if !(min..=max).contains(&PROTOCOL) {
            return Err(NegotiationError::Protocol {
                name: info.name,
                min,
                max,
            });
        }
        Ok(Self { info, channel })
    }

    /// Who it said it is.
    #[must_use]
    pub const fn info(&self) -> &PluginInfo {
        &self.info
    }

    async fn plan<Plan: DeserializeOwned>(&self, call: Call) -> Result<Plan, PlanError> {
        ask(self.channel.as_ref(), call)
            .await
            .unwrap_or_else(|fault| Err(fault.error()))
    }
}

/// One call: what the plugin said, or what it did instead.
async fn ask<Answer: DeserializeOwned>(
    channel: &dyn Channel,
    call: Call,
) -> Result<Result<Answer, PlanError>, Fault> {
    let message = Message {
        protocol: PROTOCOL,
        call,
    };
    let garbage = |error: serde_json::Error| Fault::Garbage(error.to_string());
    let dataset = match &message.call {
        Call::Describe => None,
        Call::PlanStorage(request) => Some(&request.dataset),
        Call::PlanCaching(request) => Some(&request.dataset),
    };
    let question = Question {
        message: serde_json::to_vec(&message).map_err(garbage)?,
        dataset: dataset.map(Whose::from),
    };
    let reply = channel.call(question).await?;
    match serde_json::from_slice(&reply).map_err(garbage)? {
        Reply::Ok(value) => serde_path_to_error::deserialize(value)
            .map(Ok)
            .map_err(|error| Fault::Garbage(error.to_string())),
        Reply::Error(error) => Ok(Err(error)),
    }
}

#[async_trait]
impl StoragePlugin for Remote {
    fn describe(&self) -> PluginInfo {
        self.info.clone()
    }

    async fn plan(&self, request: &StorageRequest) -> Result<StoragePlan, PlanError> {
        Self::plan(self, Call::PlanStorage(Box::new(request.clone()))).await
    }
}

#[async_trait]
impl CachingPlugin for Remote {
    fn describe(&self) -> PluginInfo {
        self.info.clone()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        Self::plan(self, Call::PlanCaching(Box::new(request.clone()))).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Answers every call with the same.
    struct Says(&'static str);

    #[async_trait]
    impl Channel for Says {
        async fn call(&self, _: Question) -> Result<Vec<u8>, Fault> {
            Ok(self.0.as_bytes().to_vec())
        }
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_is_named_with_the_path_of_what_is_wrong() {
        let info = r#"{ "ok": { "name": "acme", "version": 1 } }"#;
        let error = Remote::meet(Arc::new(Says(info))).await.err().unwrap();
        let said = error.to_string();
        assert!(
            said.contains("version: invalid type: integer `1`"),
            "{said}"
        );

        let plan = r#"{ "ok": { "condition": { "ready": false, "message": "no" } } }"#;
        let read = ask::<CachingPlan>(&Says(plan), Call::Describe).await;
        let said = json!(read.err().unwrap().error()).to_string();
        assert!(said.contains("condition: missing field `reason`"), "{said}");
    }

    #[tokio::test]
    async fn a_plugin_of_an_older_protocol_is_told_both_numbers_and_where_the_difference_stands() {
        let describes = r#"{ "ok": {
            "name": "acme", "version": "1", "protocol": { "min": 1, "max": 1 }, "kind": "caching", "sourceTypes": ["COS"]
        }}"#;
        let refuses =
            r#"{ "error": { "reason": "PluginProtocol", "message": "this plugin speaks 1" } }"#;
        for answer in [describes, refuses] {
            let error = Remote::meet(Arc::new(Says(answer))).await.err().unwrap();
            let error = PlanError::from(error);
            assert_eq!(error.reason, "PluginProtocol");
            let page = "docs/plugin-protocol.md, section Versions";
            for part in ["protocol", "1", &PROTOCOL.to_string(), page] {
                assert!(error.message.contains(part), "{part}: {}", error.message);
            }
        }
    }
}
