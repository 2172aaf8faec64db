//! What the worker counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use dlf_wire::nodes::v1::task::Kind;

/// From an answer in the same rack to the longest a probe may take.
const SECONDS: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(
    missing_docs,
    reason = "the tasks are documented where they are defined"
)]
pub enum TaskKind {
    ProbeObjectStore,
    ProbeNfs,
    EnsureBucket,
    EmptyBucket,
    Warm,
    AskReplicas,
    Unknown,
}

impl From<Option<&Kind>> for TaskKind {
    fn from(kind: Option<&Kind>) -> Self {
        match kind {
            Some(Kind::ProbeObjectStore(_)) => Self::ProbeObjectStore,
            Some(Kind::ProbeNfs(_)) => Self::ProbeNfs,
            Some(Kind::EnsureBucket(_)) => Self::EnsureBucket,
            Some(Kind::EmptyBucket(_)) => Self::EmptyBucket,
            Some(Kind::Warm(_)) => Self::Warm,
            Some(Kind::AskReplicas(_)) => Self::AskReplicas,
            None => Self::Unknown,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    task: TaskKind,
    /// `Done` or the failure's class, of which there are some thirty.
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    task: TaskKind,
}

/// The worker's figures.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tasks: Family<Ended, Counter>,
    seconds: Family<Timed, Histogram, fn() -> Histogram>,
    running: Gauge,
    attached: AtomicBool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("dlf_worker");
        let tasks = Family::default();
        let seconds: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let running = Gauge::default();
        registry.register(
            "tasks",
            "Tasks that ended, by task and outcome",
            tasks.clone(),
        );
        registry.register("task_seconds", "How long tasks took", seconds.clone());
        registry.register("tasks_running", "Tasks under way", running.clone());
        Self {
            registry,
            tasks,
            seconds,
            running,
            attached: AtomicBool::new(false),
        }
    }
}

impl Metrics {
    /// A task begins.
    pub fn began(&self) {
        self.running.inc();
    }

    /// A task ended, with its failure's class unless it was done, or was cancelled.
    pub fn ended(&self, task: TaskKind, outcome: Option<&str>, took: Duration) {
        self.running.dec();
        if let Some(outcome) = outcome {
            self.tasks
                .get_or_create(&Ended {
                    task,
                    outcome: outcome.to_owned(),
                })
                .inc();
            self.seconds
                .get_or_create(&Timed { task })
                .observe(took.as_secs_f64());
        }
    }

    /// The stream to the operator is there, or is not.
    pub fn set_attached(&self, attached: bool) {
        self.attached.store(attached, Ordering::Relaxed);
    }

    /// Whether the worker can be given work.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }

    /// All figures, as Prometheus reads them.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
