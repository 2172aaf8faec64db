//! What the webhooks count.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

use crate::metrics::Catalog;

/// Answers are to come within milliseconds; above five seconds the API server has given up.
const BUCKETS_SECONDS: [f64; 10] = [
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0,
];

/// Metrics of the webhooks.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests by path and outcome.
    pub requests: Family<Labels, Counter>,
    /// Time per request.
    pub seconds: Histogram,
    /// Questions to the API server about what memory did not have.
    pub live_lookups: Counter,
}

/// A path and how its request ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labels {
    /// The path.
    pub path: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Admitted.
    Admitted,
    /// Refused for what it says.
    Refused,
    /// Refused because it could not be read or looked up.
    Failed,
}

impl Metrics {
    /// New ones, entered in the catalog.
    #[must_use]
    pub fn new(catalog: &mut Catalog) -> Self {
        let metrics = Self {
            requests: Family::default(),
            seconds: Histogram::new(BUCKETS_SECONDS),
            live_lookups: Counter::default(),
        };
        catalog.counter(
            "dlf_webhook_requests",
            "Admission requests by path and outcome (Admitted, Refused, Failed)",
            &["path", "outcome"],
            metrics.requests.clone(),
        );
        catalog.histogram(
            "dlf_webhook_seconds",
            "Time to answer an admission request, from its first byte",
            &[],
            metrics.seconds.clone(),
        );
        catalog.counter(
            "dlf_webhook_live_lookups",
            "Questions to the API server about Datasets that memory did not have",
            &[],
            metrics.live_lookups.clone(),
        );
        metrics
    }
}
