use crate::{controller, metrics::Catalog, requests::Requests, webhook};

/// What the rooms of a replica count, all of it in one catalog.
pub(super) struct Measures {
    pub(super) catalog: Catalog,
    pub(super) webhooks: webhook::metrics::Metrics,
    pub(super) controllers: controller::Metrics,
    pub(super) requests: Requests,
}

impl Measures {
    pub(super) fn new() -> Self {
        let mut catalog = Catalog::default();
        Self {
            webhooks: webhook::metrics::Metrics::new(&mut catalog),
            controllers: controller::Metrics::new(&mut catalog),
            requests: Requests::new(&mut catalog),
            catalog,
        }
    }
}
