//! A caching plugin: nginx in front of the bucket. Reads of objects are kept on disk; whatever else a
//! client asks, and whatever it writes, goes to the source.

use dlf_plugin_sdk::prelude::*;

#[derive(Default)]
pub struct Nginx;

#[async_trait]
impl CachingPlugin for Nginx {
    fn describe(&self) -> PluginInfo {
        caching("nginx", env!("CARGO_PKG_VERSION"))
            .plans_servers()
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let image = request.config["image"]
            .as_str()
            .unwrap_or("docker.io/nginxinc/nginx-unprivileged:1.29");
        Ok(Server::new(request, image, 8080)
            .command(["nginx", "-c", "/etc/cache/nginx.conf", "-g", "daemon off;"])
            .file("nginx.conf", configuration(request))
            .ready_path("/-/ready")
            .storage_class(request.config["storageClass"].as_str())
            .plan())
    }
}

fn configuration(request: &CachingRequest) -> String {
    let decision = &request.decision;
    let bytes = decision.capacity_bytes / u64::from(decision.replicas.max(1));
    // nginx looks every 10 s; a pod that outgrows its volume meanwhile is evicted.
    let megabytes = (bytes / 4 * 3) >> 20;
    let valid = match decision.revalidate_ms {
        Some(ms) => format!("{}s", ms.div_ceil(1000).max(1)),
        None => "365d".to_owned(),
    };
    include_str!("nginx.conf")
        .replace("@SOURCE@", request.source.endpoint.trim_end_matches('/'))
        .replace("@MEGABYTES@", &megabytes.to_string())
        .replace("@VALID@", &valid)
}

dlf_plugin_sdk::export_plugin!(Nginx: caching);
