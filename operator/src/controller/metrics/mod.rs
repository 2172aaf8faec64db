//! What the controllers count. Nothing here is labelled by a dataset: 20,000 of them would be as
//! many series each, and what is said of one stands in its status.

pub(super) mod states;

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

use self::states::States;
use super::error::Class;
use crate::metrics::Catalog;

/// One that finds everything in place takes a millisecond; one that waits for the API server may
/// take until its deadline.
const BUCKETS_SECONDS: [f64; 13] = [
    0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 20.0, 60.0,
];

/// Metrics of the controllers of a replica, which counts when it leads.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) reconciles: Family<Reconciled, Counter>,
    pub(super) seconds: Family<Kind, Histogram, fn() -> Histogram>,
    pub(super) errors: Family<Failed, Counter>,
    pub(super) waiting: Family<Kind, Gauge>,
    pub(super) backing_off: Family<Kind, Gauge>,
    pub(super) events: Family<Published, Counter>,
    pub(super) states: Arc<States>,
}

/// What is reconciled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Kind {
    pub(super) kind: &'static str,
}

/// How a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reconciled {
    pub(super) kind: &'static str,
    pub(super) outcome: Outcome,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Outcome {
    /// Everything is as it should be.
    Done,
    /// Something that the object's condition names stands in the way.
    Blocked,
    /// It is tried again.
    Failed,
}

/// Why a reconcile failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Failed {
    pub(super) kind: &'static str,
    pub(super) class: Class,
}

/// An event and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Published {
    pub(super) r#type: &'static str,
    pub(super) outcome: Written,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Written {
    /// The API server took it.
    Written,
    /// It did not, and it is not tried again.
    Lost,
}

impl Metrics {
    /// New ones, entered in the catalog.
    #[must_use]
    pub fn new(catalog: &mut Catalog) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS)),
            errors: Family::default(),
            waiting: Family::default(),
            backing_off: Family::default(),
            events: Family::default(),
            states: Arc::default(),
        };
        metrics.enter_reconciles(catalog);
        catalog.counter(
            "dlf_events",
            "Kubernetes events written by type and outcome (Written, Lost)",
            &["type", "outcome"],
            metrics.events.clone(),
        );
        let states = Arc::clone(&metrics.states);
        catalog.gauges(
            "dlf_datasets",
            "Datasets by state on the replica that leads: Ready, or the reason why one is not",
            &["state"],
            move || states.datasets.shown(),
        );
        let states = Arc::clone(&metrics.states);
        catalog.gauges(
            "dlf_caches",
            "Datasets of whose cache there is something to say, by state on the replica that leads: Ready, or the reason why it is not",
            &["state"],
            move || states.caches.shown(),
        );
        metrics
    }

    fn enter_reconciles(&self, catalog: &mut Catalog) {
        catalog.counter(
            "dlf_reconciles",
            "Reconciles by kind and outcome (Done, Blocked, Failed)",
            &["kind", "outcome"],
            self.reconciles.clone(),
        );
        catalog.histogram(
            "dlf_reconcile_seconds",
            "Time a reconcile took, by kind",
            &["kind"],
            self.seconds.clone(),
        );
        catalog.counter(
            "dlf_reconcile_errors",
            "Failed reconciles by kind and class of error",
            &["kind", "class"],
            self.errors.clone(),
        );
        catalog.gauge_family(
            "dlf_reconciles_waiting",
            "Objects that something happened to and that were not looked at since, by kind",
            &["kind"],
            self.waiting.clone(),
        );
        catalog.gauge_family(
            "dlf_reconciles_backing_off",
            "Objects whose last reconcile failed or was blocked, by kind",
            &["kind"],
            self.backing_off.clone(),
        );
    }
}
