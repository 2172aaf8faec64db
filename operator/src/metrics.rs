//! The metrics of the operator: one catalog in which every room enters its own, so that
//! `docs/metrics.md` is written from what is really there.

use std::fmt::{self, Write as _};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, TypedMetric, counter::ConstCounter, gauge::ConstGauge},
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
        let encode = move |mut encoder: DescriptorEncoder, help: &str| {
            let gauge = ConstGauge::new(look());
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        self.collect(name, name.to_owned(), MetricType::Gauge, &[], help, encode);
    }

    /// Enters what only grows and is kept elsewhere: looked at when it is asked for. It is shown
    /// with `_total` after its name.
    pub fn growing(
        &mut self,
        name: &'static str,
        help: &'static str,
        look: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let encode = move |mut encoder: DescriptorEncoder, help: &str| {
            let counter = ConstCounter::new(look());
            let kind = counter.metric_type();
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        self.collect(
            name,
            format!("{name}_total"),
            MetricType::Counter,
            &[],
            help,
            encode,
        );
    }

    /// Enters gauges that differ in one label: looked at when they are asked for. Whoever looks
    /// bounds their number.
    pub fn gauges(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; 1],
        look: impl Fn() -> Vec<(String, i64)> + Send + Sync + 'static,
    ) {
        let encode = move |mut encoder: DescriptorEncoder, help: &str| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (value, number) in look() {
                let gauge = ConstGauge::new(number);
                gauge.encode(metric.encode_family(&[(labels[0], value)])?)?;
            }
            Ok(())
        };
        self.collect(
            name,
            name.to_owned(),
            MetricType::Gauge,
            labels,
            help,
            encode,
        );
    }

    /// Enters what grows and shrinks and is counted as it does, as a family.
    pub fn gauge_family(
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

    fn collect(
        &mut self,
        name: &'static str,
        shown: String,
        kind: MetricType,
        labels: &'static [&'static str],
        help: &'static str,
        encode: impl Fn(DescriptorEncoder, &str) -> fmt::Result + Send + Sync + 'static,
    ) {
        // With the full stop that the registry gives to the others.
        let text = format!("{help}.");
        let collector = OnScrape {
            name,
            help: text,
            encode,
        };
        self.registry.register_collector(Box::new(collector));
        self.lines.push(Line {
            name: shown,
            kind: word(kind),
            labels,
            help,
        });
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

/// What is looked at for each scrape.
struct OnScrape<F> {
    name: &'static str,
    help: String,
    encode: F,
}

impl<F> fmt::Debug for OnScrape<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnScrape").field(&self.name).finish()
    }
}

impl<F> Collector for OnScrape<F>
where
    F: Fn(DescriptorEncoder, &str) -> fmt::Result + Send + Sync + 'static,
{
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        (self.encode)(encoder, &self.help)
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
