use crate::{controller, metrics::Catalog, webhook, writes::Writes};

/// What the rooms of a replica count, all of it in one catalog.
pub(super) struct Measures {
    pub(super) catalog: Catalog,
    pub(super) webhooks: webhook::metrics::Metrics,
    pub(super) controllers: controller::Metrics,
    pub(super) writes: Writes,
}

impl Measures {
    pub(super) fn new() -> Self {
        let mut catalog = Catalog::default();
        Self {
            webhooks: webhook::metrics::Metrics::new(&mut catalog),
            controllers: controller::Metrics::new(&mut catalog),
            writes: Writes::new(&mut catalog),
            catalog,
        }
    }
}
