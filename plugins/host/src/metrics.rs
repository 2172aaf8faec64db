//! What calls of plugins cost and how they end.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{
        TypedMetric,
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Metric,
};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Called {
    /// With an answer, be it that it cannot plan.
    Answered,
    /// It was not there.
    Unreachable,
    /// It ended meanwhile.
    Crashed,
    /// It took too long.
    Timeout,
    /// It answered what is no answer, or too much.
    Garbage,
    /// It had too many calls already.
    Busy,
    /// It was not asked, since it had failed so often.
    Unavailable,
}

impl Called {
    /// All but an answer.
    const FAULTS: [Self; 6] = [
        Self::Unreachable,
        Self::Crashed,
        Self::Timeout,
        Self::Garbage,
        Self::Busy,
        Self::Unavailable,
    ];

    /// Its word for a condition's reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Answered => "PluginFailed",
            Self::Unreachable => "PluginUnreachable",
            Self::Crashed => "PluginCrashed",
            Self::Timeout => "PluginTimeout",
            Self::Garbage => "PluginGarbage",
            Self::Busy => "PluginBusy",
            Self::Unavailable => "PluginUnavailable",
        }
    }

    /// What a condition's reason says that a plugin did instead of answering, if it says so.
    pub(crate) fn of(reason: &str) -> Option<Self> {
        let mut faults = Self::FAULTS.into_iter();
        faults.find(|fault| fault.reason() == reason)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    plugin: String,
    outcome: Called,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Plugin {
    plugin: String,
}

/// Calls by plugin.
#[derive(Clone, Debug)]
pub struct Metrics {
    calls: Family<Call, Counter>,
    seconds: Family<Plugin, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            // 0.1 ms to 6.5 s: the deadline is 5 s.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.0001, 4.0, 9))
            }),
        }
    }
}

impl Metrics {
    /// Calls by plugin and outcome.
    #[must_use]
    pub fn calls(&self) -> impl Metric + TypedMetric + use<> {
        self.calls.clone()
    }

    /// Seconds of those calls, by plugin.
    #[must_use]
    pub fn seconds(&self) -> impl Metric + TypedMetric + use<> {
        self.seconds.clone()
    }

    pub(crate) fn called(&self, plugin: &str, outcome: Called, took: Duration) {
        let plugin = plugin.to_owned();
        let call = Call {
            plugin: plugin.clone(),
            outcome,
        };
        self.calls.get_or_create(&call).inc();
        self.seconds
            .get_or_create(&Plugin { plugin })
            .observe(took.as_secs_f64());
    }
}
