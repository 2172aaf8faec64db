use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::nodes::v1::{Failure, MounterState, PodRef, to_node};

use super::{Handle, NodeName};
use crate::once::OnceQueue;

/// One stream of a node. A later one of the same node takes its place: from then on nothing that
/// is done in the name of this one has an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: NodeName,
    pub(super) session: u64,
}

/// A node, from its first stream until it leaves the cluster: between two streams it keeps its
/// mounts, so it keeps its entry too.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) session: Option<u64>,
    pub(super) handles: HashSet<Handle>,
    pub(super) mounters: Vec<MounterState>,
    pub(super) outbox: Outbox,
}

/// What a node is to be told: one slot per subject, filled in when it is sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) welcome: bool,
    pub(super) network: bool,
    pub(super) mounter: bool,
    /// Bounded by the requests a stream may have open.
    pub(super) replies: VecDeque<Reply>,
    pub(super) datasets: OnceQueue<Handle>,
}

/// The answer to one `Need`.
#[derive(Debug)]
pub(super) enum Reply {
    Grant {
        request: u64,
        handle: Handle,
        share: Share,
    },
    Refusal {
        request: u64,
        failure: Failure,
    },
}

/// Which part of a dataset a pod sees, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Path inside the dataset, `""` for all of it.
    pub subpath: String,
    /// Refuse writes, whatever the dataset's own flag says.
    pub readonly: bool,
}

/// What a stream has to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Outgoing {
    /// Send this.
    Message(Box<to_node::Message>),
    /// The node says it has this dataset mounted for these pods: find out whether that is so, and
    /// call [`clear`](super::Registry::clear) if it is.
    Vet {
        /// The dataset.
        config: Arc<DatasetConfig>,
        /// The pods that the node names.
        pods: Vec<PodRef>,
    },
}
