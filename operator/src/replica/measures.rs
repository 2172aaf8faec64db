use dlf_plugin_host::metrics as plugins;

use crate::{controller, metrics::Catalog, requests::Requests, webhook};

/// What the rooms of a replica count, all of it in one catalog.
pub(super) struct Measures {
    pub(super) catalog: Catalog,
    pub(super) webhooks: webhook::metrics::Metrics,
    pub(super) controllers: controller::Metrics,
    pub(super) requests: Requests,
    pub(super) plugins: plugins::Metrics,
}

impl Measures {
    pub(super) fn new() -> Self {
        let mut catalog = Catalog::default();
        let plugins = plugins::Metrics::default();
        catalog.counter(
            "dlf_plugin_calls",
            "Calls of plugins that are not compiled in, by how they ended",
            &["plugin", "outcome"],
            plugins.calls(),
        );
        catalog.histogram(
            "dlf_plugin_call_seconds",
            "Time of those calls",
            &["plugin"],
            plugins.seconds(),
        );
        Self {
            plugins,
            webhooks: webhook::metrics::Metrics::new(&mut catalog),
            controllers: controller::Metrics::new(&mut catalog),
            requests: Requests::new(&mut catalog),
            catalog,
        }
    }
}
