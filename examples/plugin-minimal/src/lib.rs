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
            .config_schema(json!({
                "type": "object",
                "properties": {
                    "image": { "type": "string", "description": "nginx that runs as nobody in particular" },
                    "storageClass": { "type": "string", "description": "of claims that keep what was read" },
                },
                "additionalProperties": false,
            }))
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        if request.intent == Intent::Exist {
            supported(&request.source.endpoint)?;
        }
        let image = request.config["image"]
            .as_str()
            .unwrap_or("docker.io/nginxinc/nginx-unprivileged:1.29");
        Ok(Server::new(request, image, 8080)
            .command(["nginx", "-c", "/etc/cache/nginx.conf", "-g", "daemon off;"])
            .file("nginx.conf", configuration(request))
            .ready_path("/-/ready")
            .storage_class(request.config["storageClass"].as_str())
            .sharded(SHARD_BYTES_DEFAULT)
            .plan())
    }
}

/// nginx verifies no certificate unless it is told whose, and a cache that does not would undo what the
/// Dataset asks for.
fn supported(endpoint: &str) -> Result<(), PlanError> {
    if endpoint.starts_with("http://") {
        return Ok(());
    }
    let why = format!(
        "{endpoint} is https, and this cache could not verify its certificate: pods of caches read no Secret, and so \
         have no CA; name an http endpoint of the store, or leave out spec.cache"
    );
    Err(PlanError::new("SourceNotSupported", why))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_whose_certificate_would_not_be_verified_has_no_cache() {
        assert_eq!(supported("http://s3.example.com:9000"), Ok(()));
        let refused = supported("https://s3.example.com").unwrap_err();
        assert_eq!(refused.reason, "SourceNotSupported");
        assert!(
            refused.message.contains("https://s3.example.com"),
            "{refused:?}"
        );
    }
}
