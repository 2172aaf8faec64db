use std::sync::Arc;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::nodes::v1::{Failure, PodRef};

use super::{Counters, NodeName, Peer, Registry};

/// Whether a dataset can be mounted.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Nobody has said anything about it (yet).
    Unknown,
    /// It exists, but not now and for this reason.
    Refused(Failure),
    /// With this.
    Ready(Arc<DatasetConfig>),
}

/// A pod that has a dataset mounted, as its node reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Where.
    pub node: NodeName,
    /// Who.
    pub pod: PodRef,
}

/// How far nodes are with the newest version of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The newest version.
    pub version: u64,
    /// Nodes that have the dataset mounted.
    pub nodes: usize,
    /// Those of them that work with an older version: an old address or key is still in use there.
    pub behind: Vec<NodeName>,
    /// Those that could not work with what they were sent, and why.
    pub failures: Vec<(NodeName, Failure)>,
}

/// Who uses a mounter revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MounterUse {
    /// Nodes on which it listens.
    pub nodes: usize,
    /// Mounts in it, on all nodes.
    pub mounts: u64,
}

impl Registry {
    /// Whether `handle` can be mounted now.
    #[must_use]
    pub fn lookup(&self, handle: &str) -> Lookup {
        match self.datasets.get(handle) {
            Some(dataset) => match (&dataset.refusal, &dataset.config) {
                (Some(why), _) => Lookup::Refused(why.clone()),
                (None, Some(config)) => Lookup::Ready(config.clone()),
                (None, None) => Lookup::Unknown,
            },
            None => Lookup::Unknown,
        }
    }

    /// Who has `handle` mounted, in the order of nodes and names.
    #[must_use]
    pub fn consumers(&self, handle: &str) -> Vec<Consumer> {
        let links = self
            .datasets
            .get(handle)
            .into_iter()
            .flat_map(|dataset| &dataset.links);
        let mut consumers: Vec<_> = links
            .flat_map(|(node, link)| {
                link.pods.iter().map(|pod| Consumer {
                    node: node.clone(),
                    pod: pod.clone(),
                })
            })
            .collect();
        consumers.sort_by(|a, b| {
            let key = |c: &Consumer| (c.node.clone(), c.pod.namespace.clone(), c.pod.name.clone());
            key(a).cmp(&key(b))
        });
        consumers
    }

    /// How far nodes are with the newest version of `handle`.
    #[must_use]
    pub fn rollout(&self, handle: &str) -> Rollout {
        let Some(dataset) = self.datasets.get(handle) else {
            return Rollout::default();
        };
        let version = dataset.version();
        let mut rollout = Rollout {
            version,
            nodes: dataset.links.len(),
            ..Rollout::default()
        };
        for (node, link) in &dataset.links {
            if link.applied < version {
                rollout.behind.push(node.clone());
            }
            if let Some(failure) = &link.failure {
                rollout.failures.push((node.clone(), failure.clone()));
            }
        }
        rollout.behind.sort();
        rollout.failures.sort_by(|(a, _), (b, _)| a.cmp(b));
        rollout
    }

    /// What consumers did with `handle` since this operator leads.
    #[must_use]
    pub fn totals(&self, handle: &str) -> Counters {
        self.datasets
            .get(handle)
            .map(|dataset| dataset.totals)
            .unwrap_or_default()
    }

    /// Who uses mounter `revision`. Asked when a revision is to be deleted, which is rare enough
    /// to look at every node.
    #[must_use]
    pub fn mounter_use(&self, revision: &str) -> MounterUse {
        let states = self.nodes.values().flat_map(|node| &node.mounters);
        states.filter(|state| state.revision == revision).fold(
            MounterUse::default(),
            |sum, state| MounterUse {
                nodes: sum.nodes + 1,
                mounts: sum.mounts + u64::from(state.mounts),
            },
        )
    }

    /// Answers that wait to be sent on the node's stream.
    #[must_use]
    pub fn unsent(&self, peer: &Peer) -> usize {
        self.nodes
            .get(&peer.node)
            .map_or(0, |node| node.outbox.replies.len())
    }

    /// Nodes with a stream.
    #[must_use]
    pub fn attached(&self) -> usize {
        self.nodes
            .values()
            .filter(|node| node.session.is_some())
            .count()
    }

    /// Datasets that can be mounted, and those known in any way.
    #[must_use]
    pub fn datasets(&self) -> (usize, usize) {
        let ready =
            |dataset: &&super::Dataset| dataset.config.is_some() && dataset.refusal.is_none();
        (
            self.datasets.values().filter(ready).count(),
            self.datasets.len(),
        )
    }
}
