//! A caching plugin: one server in front of the bucket.

use dlf_plugin_sdk::prelude::*;

#[derive(Default)]
pub struct Plugin;

#[async_trait]
impl CachingPlugin for Plugin {
    fn describe(&self) -> PluginInfo {
        caching("{{project-name}}", env!("CARGO_PKG_VERSION"))
            .observes("apps/v1", "Deployment")
            .emits("v1", "Service")
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let server = Server::new(request, "registry.example.com/{{project-name}}:0.1.0", 8080)
            .env("SOURCE", &request.source.endpoint);
        Ok(server.plan())
    }
}

dlf_plugin_sdk::export_plugin!(Plugin: caching);
