//! What nodes tell without being asked.

use dlf_wire::nodes::v1::{Applied, DatasetUsage, PodRef, Report};

use super::node::{Node, Peer};
use super::streams::{MOUNTERS_PER_NODE_MAX, bounded};
use super::usage::Counters;
use super::{DATASETS_PER_NODE_MAX, NodeName, PODS_PER_MOUNT_MAX, Registry};

impl Registry {
    /// The node works with a version, or could not.
    pub fn applied(&mut self, peer: &Peer, applied: Applied) {
        if !self.is_current(peer) {
            return;
        }
        let Some(link) = self.link_of(&applied.volume_handle, &peer.node) else {
            return;
        };
        let version = match &applied.failure {
            // It keeps what it had.
            Some(_) => link.applied,
            None => link.applied.max(applied.version),
        };
        if (version, &applied.failure) != (link.applied, &link.failure) {
            link.applied = version;
            link.failure = applied.failure;
            self.changed(&applied.volume_handle);
        }
    }

    /// Figures and consumers of datasets, and the state of mounters.
    pub fn report(&mut self, peer: &Peer, report: Report) {
        let Some(node) = self.live(peer) else { return };
        if !report.mounters.is_empty() {
            node.mounters = bounded(report.mounters, MOUNTERS_PER_NODE_MAX);
        }
        for usage in bounded(report.usage, DATASETS_PER_NODE_MAX) {
            self.used(&peer.node, usage);
        }
    }

    /// One entry of a report.
    fn used(&mut self, name: &NodeName, usage: DatasetUsage) {
        let handle = usage.volume_handle.as_str();
        if self.link_of(handle, name).is_none() {
            // A release and a grant may cross on the wire: the mount that is reported is the one
            // that counts. Its keys wait until a pod is found to use it.
            let room = self.nodes.get(name).is_some_and(Node::has_room);
            if usage.pods.is_empty() || !room || !self.datasets.contains_key(handle) {
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
        let pods: Vec<PodRef> = bounded(usage.pods, PODS_PER_MOUNT_MAX);
        if link.pods != pods {
            link.pods = pods;
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
