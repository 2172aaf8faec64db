use std::sync::Arc;

use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::nodes::v1::{Failure, PodRef};

use super::serving::Serving;
use super::{Counters, NodeName, NotServing, Peer, Registry};

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

    /// Whether reads go past the cache of `handle`.
    #[must_use]
    pub fn not_serving(&self, handle: &str, now_ms: u64) -> Option<NotServing> {
        self.datasets.get(handle)?.serving.fault(now_ms)
    }

    /// The cache of `handle` does not serve by its plugin's own word: what was seen of it before counts no more.
    pub fn cache_begins_anew(&mut self, handle: &str) {
        if let Some(dataset) = self.datasets.get_mut(handle) {
            dataset.serving = Serving::default();
        }
    }

    /// What consumers did with `handle` since its Dataset was made, given what its status has of
    /// that: continues what an earlier leader wrote there, and never falls.
    pub fn lifetime(&mut self, handle: &str, written: Counters) -> Counters {
        match self.datasets.get_mut(handle) {
            Some(dataset) => dataset.lifetime(written),
            None => written,
        }
    }

    /// What consumers did with all datasets since this operator leads.
    #[must_use]
    pub const fn sum(&self) -> Counters {
        self.sum
    }

    /// Datasets that a node has mounted, and mounts: a dataset on two nodes has two.
    #[must_use]
    pub fn mounted(&self) -> (usize, usize) {
        let links = self.datasets.values().map(|dataset| dataset.links.len());
        links.fold((0, 0), |(datasets, mounts), links| {
            (datasets + usize::from(links > 0), mounts + links)
        })
    }

    /// Mounts in mounter `revision`, on all nodes that told. Asked while there is an older revision,
    /// which is rare enough to look at every node.
    #[must_use]
    pub fn mounts_in(&self, revision: &str) -> u64 {
        let states = self.nodes.values().flat_map(|node| &node.mounters);
        let of_revision = states.filter(|state| state.revision == revision);
        of_revision.map(|state| u64::from(state.mounts)).sum()
    }

    /// Nodes that have told something since this operator leads, and are not known to be gone.
    #[must_use]
    pub fn node_names(&self) -> Vec<NodeName> {
        self.nodes.keys().cloned().collect()
    }

    /// Whether a node has told what it has mounted since this operator leads.
    #[must_use]
    pub fn has_reported(&self, node: &str) -> bool {
        self.nodes.contains_key(node)
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
