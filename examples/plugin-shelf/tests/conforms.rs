dlf_plugin_conformance::conformance!(shelf_cache::Shelf: caching);
