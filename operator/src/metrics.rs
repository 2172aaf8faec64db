//! The metrics of the operator: one catalog in which every room enters its own, so that
//! `docs/metrics.md` is written from what is really there.

use std::fmt::{self, Write as _};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, TypedMetric, gauge::ConstGauge},
    registry::{Metric, Registry},
};

/// What is measured, and what is said about it.
#[derive(Default)]
pub struct Catalog {
    registry: Registry,
    lines: Vec<Line>,
}

struct Line {
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

    /// Enters what grows and shrinks: looked at when it is asked for, and so never stale.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        look: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        self.registry
            .register_collector(Box::new(OnScrape { name, help, look }));
        let kind = word(MetricType::Gauge);
        self.lines.push(Line {
            name: name.to_owned(),
            kind,
            labels: &[],
            help,
        });
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
        self.lines.push(Line {
            name: shown,
            kind: word(M::TYPE),
            labels,
            help,
        });
    }

    /// All of them, for a scrape.
    pub fn scrape(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// The page about them, in Markdown.
    #[must_use]
    pub fn document(&self) -> String {
        let mut page = String::from(HEADING);
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        for Line {
            name,
            kind,
            labels,
            help,
        } in lines
        {
            let labels = labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect::<Vec<_>>()
                .join(", ");
            // Writing to a string does not fail.
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
        }
        page
    }
}

/// A gauge that is looked at for each scrape.
struct OnScrape<F> {
    name: &'static str,
    help: &'static str,
    look: F,
}

impl<F> fmt::Debug for OnScrape<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnScrape").field(&self.name).finish()
    }
}

impl<F: Fn() -> i64 + Send + Sync + 'static> Collector for OnScrape<F> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let gauge = ConstGauge::new((self.look)());
        // With the full stop that the registry gives to the others.
        let help = format!("{}.", self.help);
        gauge.encode(encoder.encode_descriptor(self.name, &help, None, gauge.metric_type())?)
    }
}

const HEADING: &str = "# Metrics of the operator\n\n\
    Served at `/metrics` of port 8080 of each replica. Written by\n\
    `DLF_REGENERATE=1 cargo test -p dlf-operator metrics`; a test compares it.\n\n\
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
