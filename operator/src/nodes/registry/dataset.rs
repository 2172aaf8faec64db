use std::collections::HashMap;
use std::sync::Arc;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::nodes::v1::{Failure, PodRef};

use super::NodeName;
use super::losses::Losses;
use super::serving::Serving;
use super::usage::{Counters, Meter};

/// One dataset: what nodes are to work with, and what ties it to each of them.
#[derive(Debug, Default)]
pub(super) struct Dataset {
    pub(super) config: Option<Arc<DatasetConfig>>,
    /// Set: no new mounts. The configuration is kept, so that its version goes on.
    pub(super) refusal: Option<Failure>,
    pub(super) links: HashMap<NodeName, Link>,
    /// What all nodes together did since this operator leads.
    pub(super) totals: Counters,
    /// What was written down before this operator led; none: nobody has asked yet.
    pub(super) base: Option<Counters>,
    /// What was written and the source does not have.
    pub(super) losses: Losses,
    /// Whether its cache serves.
    pub(super) serving: Serving,
    /// The highest version that any node is known to hold.
    floor: u64,
}

/// One dataset on one node, from its first grant to its last unmount.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// A pod on the node is known to use the dataset. Without that the node gets no keys, whatever
    /// it says it has mounted.
    pub(super) cleared: bool,
    /// The newest version the node was sent on its stream, or held when the stream began.
    pub(super) sent: u64,
    /// The version the node works with.
    pub(super) applied: u64,
    /// Why the node could not work with the version it was last sent.
    pub(super) failure: Option<Failure>,
    pub(super) pods: Vec<PodRef>,
    pub(super) meter: Meter,
}

impl Dataset {
    /// Takes a configuration over; false when nothing but the version would differ.
    pub(super) fn publish(&mut self, mut config: DatasetConfig, now_ms: u64) -> bool {
        let before = self.version();
        config.version = before;
        if self.config.as_deref() == Some(&config) {
            return false;
        }
        config.version = now_ms.max(before.max(self.floor).saturating_add(1));
        // It may lead to another cache.
        self.serving = Serving::default();
        self.config = Some(Arc::new(config));
        true
    }

    /// A node says that it holds `version`; true when the published one must move above it.
    pub(super) fn overtake(&mut self, version: u64) -> bool {
        self.floor = self.floor.max(version);
        match &mut self.config {
            Some(config) if config.version < version => {
                Arc::make_mut(config).version = version.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// What all nodes together did since the dataset was made. What is `written` down is taken for
    /// what was done before this operator led, once; later it holds what is counted here as well.
    pub(super) fn lifetime(&mut self, written: Counters) -> Counters {
        let mut sum = *self.base.get_or_insert(written);
        sum.add(self.totals);
        // Another leader may have written in between: what is told never falls.
        sum.max(written)
    }

    pub(super) fn version(&self) -> u64 {
        self.config
            .as_ref()
            .map_or(self.floor, |config| config.version)
    }

    pub(super) fn is_unused(&self) -> bool {
        self.config.is_none() && self.refusal.is_none() && self.links.is_empty()
    }
}
