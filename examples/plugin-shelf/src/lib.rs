//! A caching plugin with a cache of its own, `shelf.py`, whose pods are shards: it reads the source with the
//! source's keys, says what it keeps, and is filled ahead where that was decided.

use dlf_plugin_sdk::prelude::*;

/// Units of this length have one shard each; `shelf.py` has the same.
const UNIT: u64 = 4 << 20;
const PORT: u16 = 8080;

#[derive(Default)]
pub struct Shelf;

#[async_trait]
impl CachingPlugin for Shelf {
    fn describe(&self) -> PluginInfo {
        caching("shelf", env!("CARGO_PKG_VERSION"))
            .plans_servers()
            .needs_source_keys()
            .config_schema(json!({
                "type": "object",
                "properties": {
                    "image": { "type": "string", "description": "Python 3.11 or newer" },
                },
                "additionalProperties": false,
            }))
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let image = request.config["image"]
            .as_str()
            .unwrap_or("docker.io/library/python:3.13-slim");
        let decision = &request.decision;
        let each = decision.capacity_bytes / u64::from(decision.replicas.max(1));
        let region = match request.source.region.as_str() {
            "" => "us-east-1",
            region => region,
        };
        Ok(Server::new(request, image, PORT)
            .command(["python3", "/etc/cache/shelf.py", "serve"])
            .file("shelf.py", include_str!("../shelf.py"))
            .env("SOURCE", &request.source.endpoint)
            .env("REGION", region)
            .env("CAPACITY", each.to_string())
            .ready_path("/-/ready")
            .status_path("/-/status")
            .source_keys()
            .unsigned()
            .sharded(UNIT)
            .plan())
    }
}

dlf_plugin_sdk::export_plugin!(Shelf: caching);
