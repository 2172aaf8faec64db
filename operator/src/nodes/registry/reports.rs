//! What nodes tell without being asked.

use dlf_wire::nodes::v1::{Applied, DatasetUsage, Report};

use super::node::{Node, Peer};
use super::usage::Counters;
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
            self.changed(&applied.volume_handle);
        }
    }

    /// Figures and consumers of datasets, and the state of mounters.
    pub fn report(&mut self, peer: &Peer, report: Report) {
        let Some(node) = self.live(peer) else { return };
        if !report.mounters.is_empty() {
            node.mounters = limits::mounters(report.mounters);
        }
        let mut room = PODS_PER_NODE_MAX.saturating_sub(self.pods_named(&peer.node));
        for usage in report.usage.into_iter().take(DATASETS_PER_NODE_MAX) {
            self.used(&peer.node, usage, &mut room);
        }
    }

    /// How many pods a node has named, each as often as it has a dataset.
    fn pods_named(&self, name: &NodeName) -> usize {
        let node = self.nodes.get(name).into_iter();
        let handles = node.flat_map(|node| &node.handles);
        let links = handles.filter_map(|handle| self.datasets.get(handle)?.links.get(name));
        links.map(|link| link.pods.len()).sum()
    }

    /// One entry of a report. `room` is left for more pods.
    fn used(&mut self, name: &NodeName, mut usage: DatasetUsage, room: &mut usize) {
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
        let cleared = link.cleared;
        *room += link.pods.len();
        usage.pods.truncate(*room);
        *room -= usage.pods.len();
        if link.pods != usage.pods {
            link.pods = usage.pods;
            self.changed(&usage.volume_handle);
        }
        if !cleared {
            self.queue(name, &usage.volume_handle);
        }
    }
}

impl Node {
    fn has_room(&self) -> bool {
        self.handles.len() < DATASETS_PER_NODE_MAX
    }
}
