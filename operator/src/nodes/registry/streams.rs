//! The life of a node's stream, and the answers to what it asks.

use dlf_wire::nodes::v1::{Failure, Held, MounterState};

use super::dataset::Link;
use super::node::{Node, Outbox, Peer, Reply, Share};
use super::usage::Meter;
use super::{Handle, NodeName, Registry, VERSION_AHEAD_MS_MAX};
use crate::nodes::limits::{self, DATASETS_PER_NODE_MAX, PODS_PER_NODE_MAX};

impl Registry {
    /// A node's stream begins, in place of an earlier one. What it holds decides what it gets.
    pub fn attach(
        &mut self,
        node: &str,
        mut held: Vec<Held>,
        mounters: Vec<MounterState>,
        now_ms: u64,
    ) -> Peer {
        self.last_session += 1;
        let name = match self.nodes.get_key_value(node) {
            Some((known, _)) => known.clone(),
            None => NodeName::from(node),
        };
        let peer = Peer {
            node: name.clone(),
            session: self.last_session,
        };
        let node = self.nodes.entry(name.clone()).or_default();
        node.session = Some(peer.session);
        node.outbox = Outbox {
            welcome: true,
            ..Outbox::default()
        };
        node.mounters = limits::mounters(mounters);
        let mut gone = std::mem::take(&mut node.handles);
        held.retain(|held| limits::is_handle(&held.volume_handle));
        held.truncate(DATASETS_PER_NODE_MAX);
        let mut room = PODS_PER_NODE_MAX;
        for mut held in held {
            gone.remove(held.volume_handle.as_str());
            held.pods = limits::pods(held.pods);
            held.pods.truncate(room);
            room -= held.pods.len();
            self.hold(&name, held, now_ms);
        }
        for handle in gone {
            self.unlink(&handle, &name);
        }
        // Also wakes the stream that this one replaces, so that it ends.
        self.effects.wake.push(name);
        peer
    }

    /// The node's stream ended. Its mounts live on, and so do its entries here.
    pub fn detach(&mut self, peer: &Peer) {
        if let Some(node) = self.live(peer) {
            node.session = None;
            node.outbox = Outbox::default();
        }
    }

    /// Whether `peer` is still the node's stream.
    #[must_use]
    pub fn is_current(&self, peer: &Peer) -> bool {
        self.nodes
            .get(&peer.node)
            .is_some_and(|node| node.session == Some(peer.session))
    }

    /// Answers `request` with what is published of `handle` by the time the answer is sent, and
    /// keeps the node subscribed to it until it is released.
    pub fn grant(&mut self, peer: &Peer, request: u64, handle: &str, share: Share) {
        if self.is_current(peer) {
            let handle = self.handle(handle);
            self.reply(
                &peer.node,
                Reply::Grant {
                    request,
                    handle,
                    share,
                },
            );
        }
    }

    /// Answers `request` with a reason.
    pub fn deny(&mut self, peer: &Peer, request: u64, failure: Failure) {
        if self.is_current(peer) {
            self.reply(&peer.node, Reply::Refusal { request, failure });
        }
    }

    /// A pod on the node was found to use `handle`: what waited for that may be sent.
    pub fn clear(&mut self, peer: &Peer, handle: &str) {
        if !self.is_current(peer) {
            return;
        }
        if let Some(link) = self.link_of(handle, &peer.node) {
            link.cleared = true;
            self.queue(&peer.node, handle);
        }
    }

    /// The last mount of `handle` on the node has gone.
    pub fn released(&mut self, peer: &Peer, handle: &str) {
        if self
            .live(peer)
            .is_some_and(|node| node.handles.remove(handle))
        {
            self.unlink(handle, &peer.node);
        }
    }

    /// The node as long as `peer` is its stream.
    pub(super) fn live(&mut self, peer: &Peer) -> Option<&mut Node> {
        self.nodes
            .get_mut(&peer.node)
            .filter(|node| node.session == Some(peer.session))
    }

    pub(super) fn link_of(&mut self, handle: &str, node: &str) -> Option<&mut Link> {
        self.datasets.get_mut(handle)?.links.get_mut(node)
    }

    /// Ties a dataset to a node, unless it is.
    pub(super) fn link(&mut self, name: &NodeName, handle: &str) -> Handle {
        let handle = self.handle(handle);
        if let Some(node) = self.nodes.get_mut(name) {
            node.handles.insert(handle.clone());
            let dataset = self.datasets.entry(handle.clone()).or_default();
            dataset.links.entry(name.clone()).or_default();
        }
        handle
    }

    /// One entry of a new stream's list of mounts.
    fn hold(&mut self, name: &NodeName, held: Held, now_ms: u64) {
        let known = self.link_of(&held.volume_handle, name).is_some();
        // What no leader can have given it: it has none of ours.
        let believed = held.version <= now_ms.saturating_add(VERSION_AHEAD_MS_MAX);
        let version = if believed { held.version } else { 0 };
        let handle = self.link(name, &held.volume_handle);
        let Some(dataset) = self.datasets.get_mut(&handle) else {
            return;
        };
        if dataset.overtake(version) {
            self.announce(&handle);
        }
        let Some(link) = self.link_of(&handle, name) else {
            return;
        };
        if !known {
            link.meter = Meter::Inherited;
        }
        link.failure = None;
        (link.sent, link.applied) = (version, version);
        link.pods = held.pods;
        self.effects.used.push(handle.clone());
        self.queue(name, &handle);
    }
}
