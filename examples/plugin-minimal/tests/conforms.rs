dlf_plugin_conformance::conformance!(nginx_cache::Nginx: caching);
