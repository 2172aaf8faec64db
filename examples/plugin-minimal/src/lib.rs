//! A caching plugin: nginx in front of the bucket. Reads of objects are kept on disk; whatever else a
//! client asks, and whatever it writes, goes to the source.

use dlf_plugin_sdk::prelude::*;

#[derive(Default)]
pub struct Nginx;

#[async_trait]
impl CachingPlugin for Nginx {
    fn describe(&self) -> PluginInfo {
        caching("nginx", env!("CARGO_PKG_VERSION"))
            .observes("apps/v1", "Deployment")
            .emits("v1", "Service")
            .emits("v1", "ConfigMap")
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let image = request.config["image"].as_str().unwrap_or("docker.io/nginxinc/nginx-unprivileged:1.29");
        Ok(Server::new(request, image, 8080)
            .command(["nginx", "-c", "/etc/cache/nginx.conf", "-g", "daemon off;"])
            .file("nginx.conf", configuration(request))
            .ready_path("/-/ready")
            .plan())
    }
}

/// Signatures name the host that the client spoke to, so the source is told that name.
fn configuration(request: &CachingRequest) -> String {
    let bytes = request.decision.capacity_bytes / u64::from(request.decision.replicas.max(1));
    let valid = request.decision.revalidate_ms.map_or("365d".to_owned(), |ms| format!("{}s", ms.div_ceil(1000).max(1)));
    format!(
        "pid /tmp/nginx.pid; error_log stderr; events {{}}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path /tmp/body; proxy_temp_path /cache/tmp;
  fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  proxy_cache_path /cache/data keys_zone=objects:10m max_size={}m inactive=365d;
  server {{
    listen 8080;
    location = /-/ready {{ return 200; }}
    location / {{
      proxy_pass {}; proxy_set_header Host $http_host; proxy_set_header Connection '';
      proxy_set_header Range $http_range; proxy_set_header If-Match $http_if_match;
      proxy_http_version 1.1; proxy_ssl_server_name on; proxy_request_buffering off;
      proxy_cache objects; proxy_cache_key $request_method$uri$is_args$args$http_range$http_if_match;
      proxy_cache_bypass $arg_list_type; proxy_no_cache $arg_list_type; proxy_cache_convert_head off;
      proxy_cache_valid 200 206 {valid}; proxy_cache_lock on;
    }}
  }}
}}
",
        (bytes / 4 * 3) >> 20, // nginx looks every 10 s; a pod that outgrows its volume meanwhile is evicted
        request.source.endpoint.trim_end_matches('/'),
    )
}

dlf_plugin_sdk::export_plugin!(Nginx: caching);
