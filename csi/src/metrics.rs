//! What Prometheus can ask of a node driver.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why something failed: one of the few classes of the error types.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Counters and gauges; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    publishes: Counter,
    publish_failures: Family<Reason, Counter>,
    repairs: Counter,
    repair_failures: Family<Reason, Counter>,
    mounts: Gauge,
    stream_up: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("dlf_csi"))),
            publishes: Counter::default(),
            publish_failures: Family::default(),
            repairs: Counter::default(),
            repair_failures: Family::default(),
            mounts: Gauge::default(),
            stream_up: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let published = "Volumes shown at a pod's target";
        registry.register("publishes", published, self.publishes.clone());
        let failed = "Volumes that could not be shown at a pod's target";
        registry.register("publish_failures", failed, self.publish_failures.clone());
        let repaired = "Dead mounts replaced under their consumers";
        registry.register("repairs", repaired, self.repairs.clone());
        let unrepaired = "Attempts at a repair that failed";
        registry.register("repair_failures", unrepaired, self.repair_failures.clone());
        registry.register("mounts", "Mounts on this node", self.mounts.clone());
        let stream = "1 while there is a stream to the operator";
        registry.register("stream_up", stream, self.stream_up.clone());
    }

    /// Counts a publish, with the class of its failure.
    pub fn published(&self, failure: Option<&'static str>) {
        match failure {
            None => self.publishes.inc(),
            Some(reason) => self
                .publish_failures
                .get_or_create(&Reason { reason })
                .inc(),
        };
    }

    /// Counts a repair.
    pub fn repaired(&self) {
        self.repairs.inc();
    }

    /// Counts a failed attempt at one.
    pub fn repair_failed(&self, reason: &'static str) {
        self.repair_failures.get_or_create(&Reason { reason }).inc();
    }

    /// Notes how things are.
    pub fn observe(&self, mounts: usize, stream_up: bool) {
        self.mounts.set(i64::try_from(mounts).unwrap_or(i64::MAX));
        self.stream_up.set(i64::from(stream_up));
    }

    /// All of it as `OpenMetrics` text.
    #[must_use]
    pub fn text(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
