//! What goes out on a node's stream: looked up at the last moment, so that it is the newest.

use dlf_wire::nodes::v1::{Failure, Grant, MounterWanted, NodeWelcome, Refusal, to_node};

use super::node::{Outbox, Outgoing, Peer, Reply};
use super::{Handle, NodeName, Registry};

impl Registry {
    /// What the node's stream has to do next, if anything.
    pub fn next(&mut self, peer: &Peer) -> Option<Outgoing> {
        if std::mem::take(&mut self.outbox(peer)?.welcome) {
            let outbox = self.outbox(peer)?;
            (outbox.network, outbox.mounter) = (false, false);
            let (network, mounter) = (self.network.clone(), Some(self.wanted()));
            let welcome = NodeWelcome { network, mounter };
            return Some(say(to_node::Message::Welcome(welcome)));
        }
        if let Some(reply) = self.outbox(peer)?.replies.pop_front() {
            return Some(say(self.answer(&peer.node, reply)));
        }
        if std::mem::take(&mut self.outbox(peer)?.network)
            && let Some(rules) = self.network.clone()
        {
            return Some(say(to_node::Message::Network(rules)));
        }
        if std::mem::take(&mut self.outbox(peer)?.mounter) {
            return Some(say(to_node::Message::Mounter(self.wanted())));
        }
        while let Some(handle) = self.outbox(peer)?.datasets.pop() {
            if let Some(outgoing) = self.update(&peer.node, &handle) {
                return Some(outgoing);
            }
        }
        None
    }

    /// Gives a dataset its slot in the node's outbox.
    pub(super) fn queue(&mut self, name: &NodeName, handle: &str) {
        let handle = self.handle(handle);
        let node = self.nodes.get_mut(name);
        if node.is_some_and(|node| node.outbox.datasets.push(&handle)) {
            self.effects.wake.push(name.clone());
        }
    }

    pub(super) fn reply(&mut self, name: &NodeName, reply: Reply) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.outbox.replies.push_back(reply);
            self.effects.wake.push(name.clone());
        }
    }

    fn outbox(&mut self, peer: &Peer) -> Option<&mut Outbox> {
        self.live(peer).map(|node| &mut node.outbox)
    }

    fn wanted(&self) -> MounterWanted {
        MounterWanted {
            revision: self.mounter.clone(),
        }
    }

    /// Fills an answer in.
    fn answer(&mut self, name: &NodeName, reply: Reply) -> to_node::Message {
        match reply {
            Reply::Refusal { request, failure } => refusal(request, failure),
            Reply::Grant {
                request,
                handle,
                share,
            } => {
                let Some(config) = self
                    .datasets
                    .get(&handle)
                    .and_then(|found| found.config.clone())
                else {
                    let failure = Failure::new(
                        "NoSuchDataset",
                        "the dataset was deleted while the pod was starting",
                    );
                    return refusal(request, failure);
                };
                self.link(name, &handle);
                if let Some(link) = self.link_of(&handle, name) {
                    link.cleared = true;
                    link.sent = config.version;
                }
                to_node::Message::Grant(Grant {
                    request,
                    dataset: Some(config.as_ref().clone()),
                    subpath: share.subpath,
                    readonly: share.readonly,
                })
            }
        }
    }

    /// What there is to say of a dataset whose slot came up; nothing if the node has it already.
    fn update(&mut self, name: &NodeName, handle: &Handle) -> Option<Outgoing> {
        let dataset = self.datasets.get_mut(handle)?;
        let link = dataset.links.get_mut(name)?;
        let config = dataset
            .config
            .clone()
            .filter(|config| config.version > link.sent)?;
        if !link.cleared {
            return Some(Outgoing::Vet {
                config,
                pods: link.pods.clone(),
            });
        }
        link.sent = config.version;
        Some(say(to_node::Message::Dataset(config.as_ref().clone())))
    }
}

fn say(message: to_node::Message) -> Outgoing {
    Outgoing::Message(Box::new(message))
}

fn refusal(request: u64, failure: Failure) -> to_node::Message {
    to_node::Message::Refusal(Refusal {
        request,
        failure: Some(failure),
    })
}
