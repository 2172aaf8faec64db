use async_trait::async_trait;
use dlf_plugin_host::carrier::{Channel, Fault, Question};
use dlf_plugin_sdk::Plugin;

/// A plugin of this very program, behind the messages of the protocol.
pub struct Direct(Plugin);

impl Direct {
    /// This plugin.
    #[must_use]
    pub const fn new(plugin: Plugin) -> Self {
        Self(plugin)
    }
}

#[async_trait]
impl Channel for Direct {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        let reply = self.0.answer(&question.message).await;
        serde_json::to_vec(&reply).map_err(|error| Fault::Garbage(error.to_string()))
    }
}
