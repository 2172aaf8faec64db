dlf_plugin_conformance::conformance!({{crate_name}}::Plugin: caching);
