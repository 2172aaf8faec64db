//! A plugin as an author writes it: for tests that run the same type under every carrier.

use dlf_plugin_sdk::prelude::*;

/// Plans a proxy with what its configuration says.
#[derive(Default)]
pub(crate) struct Proxy;

#[async_trait]
impl CachingPlugin for Proxy {
    fn describe(&self) -> PluginInfo {
        caching("proxy", "1.0.0")
            .observes("apps/v1", "Deployment")
            .emits("v1", "Service")
            .emits("v1", "ConfigMap")
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let Some(image) = request.config["image"].as_str() else {
            return Err(PlanError::new(
                "NoImage",
                format!("config: found {}; expected image", request.config),
            ));
        };
        Ok(Server::new(request, image, 8080)
            .env("SOURCE", &request.source.endpoint)
            .file("source", &request.source.location.prefix)
            .plan())
    }
}

dlf_plugin_sdk::export_plugin!(Proxy: caching);
