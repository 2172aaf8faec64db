//! What nodes tell without being asked.

use dlf_wire::nodes::v1::{Applied, DatasetUsage, Report};

use super::node::{Node, Peer};
use super::unreported::UNREPORTED_OF_ALL_MAX;
use super::usage::{Counters, Meter};
use super::{NodeName, Registry};
use crate::nodes::limits::{self, DATASETS_PER_NODE_MAX, PODS_PER_NODE_MAX};

impl Registry {
    /// The node works with a version, or could not.
    pub fn applied(&mut self, peer: &Peer, applied: Applied) {
        if !self.is_current(peer) {
            return;
        }
        let Some(dataset) = self.datasets.get_mut(applied.volume_handle.as_str()) else {
            return;
        };
        let newest = dataset.version();
        let Some(link) = dataset.links.get_mut(&peer.node) else {
            return;
        };
        let failure = applied.failure.map(limits::failure);
        let version = match &failure {
            None if applied.version <= newest => link.applied.max(applied.version),
            // It keeps what it had, as does who speaks of a version that never was.
            _ => link.applied,
        };
        if (version, &failure) != (link.applied, &link.failure) {
            link.applied = version;
            link.failure = failure;
            self.reported(&applied.volume_handle);
        }
    }

    /// Figures and consumers of datasets, and the state of mounters.
    pub fn report(&mut self, peer: &Peer, report: Report, now_ms: u64) {
        let Some(node) = self.live(peer) else { return };
        if !report.mounters.is_empty() {
            node.mounters = limits::mounters(report.mounters);
        }
        let mut room = PODS_PER_NODE_MAX.saturating_sub(self.pods_named(&peer.node));
        for mut usage in report.usage.into_iter().take(DATASETS_PER_NODE_MAX) {
            self.wrote(&peer.node, &mut usage, now_ms);
            self.used(&peer.node, usage, &mut room, now_ms);
        }
    }

    fn reported(&mut self, handle: &str) {
        let handle = self.handle(handle);
        self.effects.reported.push(handle);
    }

    /// How many pods a node has named, each as often as it has a dataset.
    fn pods_named(&self, name: &NodeName) -> usize {
        let node = self.nodes.get(name).into_iter();
        let handles = node.flat_map(|node| &node.handles);
        let links = handles.filter_map(|handle| self.datasets.get(handle)?.links.get(name));
        links.map(|link| link.pods.len()).sum()
    }

    /// What mounts of one entry's dataset wrote and the source does not have. Those of one that the
    /// node has released meanwhile count as well: its last report may have waited for a stream.
    fn wrote(&mut self, name: &NodeName, usage: &mut DatasetUsage, now_ms: u64) {
        let handle = usage.volume_handle.as_str();
        let Some(dataset) = self.datasets.get_mut(handle) else {
            return;
        };
        let link = dataset.links.get(name);
        let inherited = link.is_some_and(|link| matches!(link.meter, Meter::Inherited));
        let mut writes = limits::writes(std::mem::take(&mut usage.writes));
        if self.unreported >= UNREPORTED_OF_ALL_MAX {
            let writes = writes.iter_mut().filter_map(|mount| mount.writes.as_mut());
            writes.for_each(|writes| writes.losses.clear());
        }
        let before = dataset.losses.unreported.len();
        let (lost, changed) = dataset.losses.report(name, writes, inherited, now_ms);
        self.unreported += dataset.losses.unreported.len() - before;
        self.lost.add(lost);
        if changed {
            self.reported(&usage.volume_handle);
        }
    }

    /// One entry of a report. `room` is left for more pods.
    fn used(&mut self, name: &NodeName, mut usage: DatasetUsage, room: &mut usize, now_ms: u64) {
        usage.pods = limits::pods(usage.pods);
        let handle = usage.volume_handle.as_str();
        if self.link_of(handle, name).is_none() {
            // A release and a grant may cross on the wire: the mount that is reported is the one
            // that counts. Its keys wait until a pod is found to use it.
            let fits = self.nodes.get(name).is_some_and(Node::has_room);
            if usage.pods.is_empty() || !fits || !self.datasets.contains_key(handle) {
                return;
            }
            self.link(name, handle);
        }
        let Some(dataset) = self.datasets.get_mut(handle) else {
            return;
        };
        let Some(link) = dataset.links.get_mut(name) else {
            return;
        };
        let done = link.meter.advance(usage.epoch, Counters::from(&usage));
        dataset.totals.add(done);
        self.sum.add(done);
        let cache_changed = dataset.serving.take(done, now_ms);
        let cleared = link.cleared;
        *room += link.pods.len();
        usage.pods.truncate(*room);
        *room -= usage.pods.len();
        if link.pods != usage.pods {
            link.pods = usage.pods;
            let handle = self.handle(&usage.volume_handle);
            self.effects.used.push(handle);
        }
        if !cleared {
            self.queue(name, &usage.volume_handle);
        }
        if cache_changed {
            self.reported(&usage.volume_handle);
        }
    }
}

impl Node {
    fn has_room(&self) -> bool {
        self.handles.len() < DATASETS_PER_NODE_MAX
    }
}
