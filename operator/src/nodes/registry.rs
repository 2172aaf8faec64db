//! What the operator knows of datasets on nodes: an index fed by the controllers on one side and by
//! the nodes' streams on the other. No I/O, no clock, no async: time comes in as an argument and
//! consequences go out as [`Effects`].
//!
//! Everything is reached by key. What is to be sent to a node is not stored but looked up when the
//! node is ready to take it, so a slow node costs one queue slot per dataset and only ever gets the
//! newest version.

mod dataset;
#[cfg(test)]
mod fuzz;
mod losses;
mod node;
mod outgoing;
mod query;
mod reports;
mod serving;
mod streams;
#[cfg(test)]
mod tests;
mod unreported;
mod usage;

use std::collections::HashMap;
use std::sync::Arc;

use dlf_wire::dataset::v1::{DatasetConfig, NetworkRules};
use dlf_wire::nodes::v1::Failure;

use dataset::Dataset;
use node::Node;

pub use losses::{Lost, Refused};
pub use node::{Outgoing, Peer, Share};
pub use query::{Consumer, Lookup, Rollout};
pub use serving::NotServing;
pub use unreported::{Fate, Named, UnreportedLoss};
pub use usage::Counters;

/// Handle of a volume: `dlf-<dataset uid>`.
pub type Handle = Arc<str>;
/// Name of a node.
pub type NodeName = Arc<str>;

/// A version that a node claims to hold is believed up to this far in the future. Versions are
/// milliseconds of wall clock: two leaders' clocks may differ, but not by a day, and a node that
/// claims more must not be able to push the versions to their end.
const VERSION_AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// What has to happen outside because the index changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Nodes for which [`Registry::next`] has something now.
    pub wake: Vec<NodeName>,
    /// Datasets whose consumers changed.
    pub used: Vec<Handle>,
    /// Datasets of whose mounts nodes have news: what they work with, or could not write.
    pub reported: Vec<Handle>,
    /// Datasets that became ready, or are refused for another reason than before.
    pub looked_up: Vec<Handle>,
}

/// The index.
#[derive(Debug, Default)]
pub struct Registry {
    datasets: HashMap<Handle, Dataset>,
    nodes: HashMap<NodeName, Node>,
    /// What all datasets together did since this operator leads.
    sum: Counters,
    /// What mounts of all of them lost since then.
    lost: Lost,
    /// Entries that wait for an event, of all of them.
    unreported: usize,
    /// None until they are found out: nodes keep those they have.
    network: Option<NetworkRules>,
    mounter: String,
    last_session: u64,
    effects: Effects,
}

impl Registry {
    /// What followed from the changes since this was last called.
    pub fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Makes `config` what nodes are to work with; its `version` is assigned here. The version moves
    /// only when something else differs, so publishing the same again costs nothing.
    ///
    /// Versions are `now_ms` or the next free number, so that those of a later leader are higher.
    pub fn publish(&mut self, config: DatasetConfig, now_ms: u64) {
        let handle = self.handle(&config.volume_handle);
        let dataset = self.datasets.entry(handle.clone()).or_default();
        let was_refused = dataset.refusal.take().is_some();
        let changed = dataset.publish(config, now_ms);
        if changed || was_refused {
            self.effects.looked_up.push(handle.clone());
        }
        if changed {
            let links = &dataset.links;
            if dataset.losses.reconfigured(|node| links.contains_key(node)) {
                self.effects.reported.push(handle.clone());
            }
            self.announce(&handle);
        }
    }

    /// The dataset exists but must not be mounted anew now; `why` becomes the event of the pods
    /// that wait for it. Mounts that exist are left alone.
    pub fn refuse(&mut self, handle: &str, why: Failure) {
        let handle = self.handle(handle);
        let dataset = self.datasets.entry(handle.clone()).or_default();
        if dataset.refusal.as_ref() != Some(&why) {
            dataset.refusal = Some(why);
            self.effects.looked_up.push(handle);
        }
    }

    /// The dataset has gone. Nodes that still have it mounted keep it until they release it.
    pub fn withdraw(&mut self, handle: &str) {
        if let Some(dataset) = self.datasets.get_mut(handle) {
            dataset.config = None;
            dataset.refusal = None;
            self.drop_if_unused(handle);
        }
    }

    /// Addresses that no mount may reach, told to every node.
    pub fn set_network(&mut self, rules: NetworkRules) {
        if self.network.as_ref() != Some(&rules) {
            self.network = Some(rules);
            self.tell_all(|outbox| outbox.network = true);
        }
    }

    /// The mounter revision that takes new mounts, told to every node.
    pub fn set_mounter(&mut self, revision: impl Into<String>) {
        let revision = revision.into();
        if self.mounter != revision {
            self.mounter = revision;
            self.tell_all(|outbox| outbox.mounter = true);
        }
    }

    /// The addresses that no mount and no task may reach; none while they are not known.
    #[must_use]
    pub const fn network(&self) -> Option<&NetworkRules> {
        self.network.as_ref()
    }

    /// The node is no longer part of the cluster: nothing is mounted there.
    pub fn forget_node(&mut self, name: &str) {
        if let Some(node) = self.nodes.remove(name) {
            for handle in node.handles {
                self.unlink(&handle, name);
            }
            self.effects
                .wake
                .extend(node.session.map(|_| NodeName::from(name)));
        }
    }

    /// Queues the newest version of `handle` for each node that is subscribed to it.
    fn announce(&mut self, handle: &Handle) {
        let Some(dataset) = self.datasets.get(handle) else {
            return;
        };
        for name in dataset.links.keys() {
            let node = self
                .nodes
                .get_mut(name)
                .filter(|node| node.session.is_some());
            if node.is_some_and(|node| node.outbox.datasets.push(handle)) {
                self.effects.wake.push(name.clone());
            }
        }
    }

    fn tell_all(&mut self, tell: impl Fn(&mut node::Outbox)) {
        for (name, node) in &mut self.nodes {
            if node.session.is_some() {
                tell(&mut node.outbox);
                self.effects.wake.push(name.clone());
            }
        }
    }

    /// Ends what ties a dataset to a node.
    fn unlink(&mut self, handle: &str, node: &str) {
        let Some(dataset) = self.datasets.get_mut(handle) else {
            return;
        };
        if dataset.links.remove(node).is_some() {
            self.effects.used.push(handle.into());
        }
        self.drop_if_unused(handle);
    }

    fn drop_if_unused(&mut self, handle: &str) {
        if self.datasets.get(handle).is_some_and(Dataset::is_unused)
            && let Some(dataset) = self.datasets.remove(handle)
        {
            self.unreported -= dataset.losses.unreported.len();
        }
    }

    /// The one shared copy of a handle that is known, or a new one.
    pub(super) fn handle(&self, handle: &str) -> Handle {
        match self.datasets.get_key_value(handle) {
            Some((known, _)) => known.clone(),
            None => handle.into(),
        }
    }
}
