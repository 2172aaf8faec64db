//! What a replica shows of itself, to Prometheus and to a person.

use std::sync::Arc;

use dlf_listen::Refused;
use dlf_plugin_host::Registry as Plugins;
use serde_json::json;
use tokio::sync::watch;

use crate::{
    certificates::Leaf,
    http::StateSource,
    metrics::Catalog,
    nodes::{
        Handshakes, Hub,
        registry::{Counters, Lost, Registry},
    },
    tasks::Tasks,
    webhook::datasets::Index,
};

/// The rooms that are looked into.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) leading: watch::Receiver<bool>,
    pub(super) leaf: Leaf,
    pub(super) datasets: Arc<Index>,
    pub(super) hub: Arc<Hub>,
    pub(super) handshakes: Arc<Handshakes>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) plugins: watch::Receiver<Arc<Plugins>>,
    /// One for each port.
    pub(super) refused: Vec<Refused>,
}

impl Shown {
    /// Gauges that are looked at for each scrape.
    pub(super) fn enter(&self, catalog: &mut Catalog) {
        let leading = self.leading.clone();
        catalog.gauge(
            "dlf_leader",
            "1 on the replica that leads, 0 on the others",
            move || i64::from(*leading.borrow()),
        );
        let leaf = self.leaf.clone();
        catalog.gauge(
            "dlf_certificate_ready",
            "1 once this replica has a certificate to show",
            move || i64::from(leaf.is_ready()),
        );
        let datasets = Arc::clone(&self.datasets);
        catalog.gauge(
            "dlf_webhook_datasets",
            "Names of Datasets that the webhook knows from memory",
            move || count(datasets.len()),
        );
        let hub = Arc::clone(&self.hub);
        catalog.gauge(
            "dlf_nodes_attached",
            "Nodes with a stream to this replica",
            move || count(hub.read(Registry::attached)),
        );
        let refused = self.refused.clone();
        catalog.growing(
            "dlf_connections_refused",
            "Connections to this replica that were closed at once because their address held as many as one may",
            move || refused.iter().map(Refused::count).sum(),
        );
        let handshakes = Arc::clone(&self.handshakes);
        catalog.growing(
            "dlf_streams_refused",
            "Streams to this replica that showed no token of the node driver or worker they claimed to be",
            move || handshakes.refused(),
        );
        self.enter_usage(catalog);
        let tasks = Arc::clone(&self.tasks);
        catalog.gauge(
            "dlf_workers_attached",
            "Workers with a stream to this replica",
            move || count(tasks.workers()),
        );
        let tasks = Arc::clone(&self.tasks);
        catalog.gauge(
            "dlf_tasks_waiting",
            "Tasks that no worker has taken yet",
            move || count(tasks.depth().0),
        );
        let tasks = Arc::clone(&self.tasks);
        catalog.gauge("dlf_tasks_running", "Tasks that workers hold", move || {
            count(tasks.depth().1)
        });
    }

    /// How datasets are used, all together: one series each, not one per dataset, of which there may
    /// be 20,000. What one of them moved stands in its status.
    fn enter_usage(&self, catalog: &mut Catalog) {
        let look = |of: fn(&Registry) -> usize| {
            let hub = Arc::clone(&self.hub);
            move || count(hub.read(of))
        };
        catalog.gauge(
            "dlf_datasets_mounted",
            "Datasets that at least one node has mounted, on the replica that leads",
            look(|registry| registry.mounted().0),
        );
        catalog.gauge(
            "dlf_mounts",
            "Mounts of datasets on nodes: one on two nodes counts twice",
            look(|registry| registry.mounted().1),
        );
        let grow = |of: fn(Counters) -> u64| {
            let hub = Arc::clone(&self.hub);
            move || of(hub.read(Registry::sum))
        };
        let lost = |of: fn(Lost) -> u64| {
            let hub = Arc::clone(&self.hub);
            move || of(hub.read(Registry::lost))
        };
        catalog.growing(
            "dlf_writes_refused",
            "Files that consumers wrote and that the source, or the node, refused since this replica leads",
            lost(|lost| lost.refused),
        );
        catalog.growing(
            "dlf_writers_killed",
            "Files whose writer was killed, so that the object stayed as it was, since this replica leads",
            lost(|lost| lost.killed),
        );
        catalog.growing(
            "dlf_write_conflicts",
            "Files that somebody else replaced while they were written, since this replica leads",
            lost(|lost| lost.conflicts),
        );
        catalog.growing(
            "dlf_files_kept",
            "Files that are not in the source and that their node keeps for an hour, since this replica leads",
            lost(|lost| lost.kept),
        );
        catalog.growing(
            "dlf_usage_read_bytes",
            "Bytes that consumers read through mounts since this replica leads",
            grow(|sum| sum.bytes_read),
        );
        catalog.growing(
            "dlf_usage_written_bytes",
            "Bytes that consumers wrote through mounts since this replica leads",
            grow(|sum| sum.bytes_written),
        );
        catalog.growing(
            "dlf_usage_requests",
            "Requests of consumers to mounts since this replica leads",
            grow(|sum| sum.requests),
        );
        catalog.growing(
            "dlf_usage_errors",
            "Requests of consumers to mounts that failed since this replica leads",
            grow(|sum| sum.errors),
        );
        catalog.growing(
            "dlf_usage_read_milliseconds",
            "Time that reads took since this replica leads, all together",
            grow(|sum| sum.read_ms),
        );
        catalog.growing(
            "dlf_usage_cache_read_bytes",
            "Of the bytes that consumers read through mounts, those that came from a cache, since this replica leads",
            grow(|sum| sum.cached_bytes_read),
        );
        catalog.growing(
            "dlf_usage_cache_failures",
            "Reads that a cache was to answer and the source had to, since this replica leads",
            grow(|sum| sum.cache_failures),
        );
    }

    /// The same for `/debug/state`.
    pub(super) fn state(&self) -> Vec<(&'static str, StateSource)> {
        let Self {
            leading,
            leaf,
            datasets,
            hub,
            handshakes: _,
            tasks,
            plugins,
            refused: _,
        } = self.clone();
        vec![
            ("leader", Box::new(move || json!(*leading.borrow()))),
            (
                "webhook",
                Box::new(
                    move || json!({ "datasets": datasets.len(), "certificate": leaf.is_ready() }),
                ),
            ),
            (
                "nodes",
                Box::new(move || json!({ "attached": hub.read(Registry::attached) })),
            ),
            (
                "plugins",
                Box::new(move || {
                    let plugins = plugins.borrow();
                    json!(
                        plugins
                            .plugins()
                            .map(|plugin| plugin.seen())
                            .collect::<Vec<_>>()
                    )
                }),
            ),
            (
                "tasks",
                Box::new(move || {
                    let (waiting, running) = tasks.depth();
                    json!({ "waiting": waiting, "running": running, "workers": tasks.workers() })
                }),
            ),
        ]
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use dlf_plugin_host::metrics;

    use super::*;
    use crate::{plugins::PluginConnectors, replica::measures::Measures, waker::Changes};

    fn no_plugins() -> Plugins {
        let connectors = PluginConnectors::new(Leaf::default());
        Plugins::new(
            [],
            Arc::default(),
            &connectors,
            &metrics::Metrics::default(),
        )
        .unwrap()
    }

    fn catalog() -> Catalog {
        let changes = Changes::default();
        let shown = Shown {
            leading: watch::Sender::new(true).subscribe(),
            leaf: Leaf::default(),
            datasets: Arc::default(),
            hub: Arc::new(Hub::new(changes.clone())),
            handshakes: Arc::default(),
            tasks: Arc::new(Tasks::new(changes)),
            plugins: watch::Sender::new(Arc::new(no_plugins())).subscribe(),
            refused: Vec::new(),
        };
        let mut catalog = Measures::new().catalog;
        shown.enter(&mut catalog);
        catalog
    }

    #[test]
    fn metrics_are_documented_as_they_are() {
        let path = Path::new("../docs/metrics.md");
        let fresh = catalog().document();
        if env::var_os("DLF_REGENERATE").is_some() {
            fs::write(path, &fresh).unwrap();
        }
        let kept = fs::read_to_string(path).unwrap_or_default();
        assert!(
            fresh == kept,
            "{} is stale; its second paragraph says how it is written",
            path.display()
        );
    }

    #[test]
    fn a_scrape_shows_each_gauge_once_with_its_help() {
        let text = catalog().scrape().unwrap();
        assert!(
            text.contains("# HELP dlf_leader 1 on the replica that leads, 0 on the others.\n"),
            "{text}"
        );
        assert!(
            text.contains("# TYPE dlf_leader gauge\ndlf_leader 1\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
