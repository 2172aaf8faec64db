//! The metrics of the operator: one catalog in which every room enters its own, so that
//! `docs/metrics.md` is written from what is really there.

use std::fmt::Write as _;

use prometheus_client::{
    encoding::text::encode,
    metrics::{MetricType, TypedMetric},
    registry::{Metric, Registry},
};

/// What is measured, and what is said about it.
#[derive(Default)]
pub struct Catalog {
    registry: Registry,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
}

impl Catalog {
    /// Enters what only grows, one or a family. It is shown with `_total` after its name.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        metric: impl Metric + TypedMetric,
    ) {
        self.enter(name, format!("{name}_total"), help, labels, metric);
    }

    /// Enters what grows and shrinks, one or a family.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        metric: impl Metric + TypedMetric,
    ) {
        self.enter(name, name.to_owned(), help, labels, metric);
    }

    /// Enters a distribution, one or a family.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        metric: impl Metric + TypedMetric,
    ) {
        self.enter(name, name.to_owned(), help, labels, metric);
    }

    fn enter<M: Metric + TypedMetric>(
        &mut self,
        name: &'static str,
        shown: String,
        help: &'static str,
        labels: &'static [&'static str],
        metric: M,
    ) {
        self.registry.register(name, help, metric);
        self.entries.push(Entry { name: shown, kind: word(M::TYPE), labels, help });
    }

    /// All of them, for a scrape.
    pub fn scrape(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// The page about them, in Markdown.
    #[must_use]
    pub fn document(&self) -> String {
        let mut page = String::from(HEADING);
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for Entry { name, kind, labels, help } in entries {
            let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            // Writing to a string does not fail.
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
        }
        page
    }
}

const HEADING: &str = "# Metrics of the operator\n\n\
    Served at `/metrics` of port 8080 of each replica. Written by `make docs`; a test compares it.\n\n\
    | name | type | labels | what it says |\n| --- | --- | --- | --- |\n";

const fn word(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::Info => "info",
        MetricType::Unknown => "unknown",
    }
}
