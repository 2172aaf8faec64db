use std::time::Duration;

use dlf_wire::dataset::v1::Origin;
use dlf_wire::nodes::v1::{Failure, ProbeObjectStore, ReplicaAnswer, task};
use sha2::{Digest, Sha256};

use super::queue::Amount;
use crate::nodes::registry::Handle;

/// How long a probe may take. With the wait for a free place this names even a black hole within
/// the 30 s of the user's contract.
const PROBE_DEADLINE: Duration = Duration::from_secs(12);
/// Making a bucket is one look and two writes.
const ENSURE_DEADLINE: Duration = Duration::from_secs(30);
/// A turn of a long task: then the next dataset has its turn, and the rest is done in another one.
const TURN_DEADLINE: Duration = Duration::from_mins(10);
/// Each replica has 5 s, and eight are asked at once; 256 are the most.
const ASK_DEADLINE: Duration = Duration::from_mins(3);

/// Work that touches the source of one dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// Volume handle of the dataset.
    pub dataset: Handle,
    /// Its namespace, for messages.
    pub namespace: String,
    /// Its name, for messages.
    pub name: String,
    /// What to do, where, and with which keys.
    pub kind: task::Kind,
    /// Changes whenever the keys do, for example the resource version of their Secret. Stands for
    /// them in the task's id, so that the id tells nothing about them.
    pub key_version: String,
}

/// What there can be one of per dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskType {
    /// Is the bucket there, and may we list it and write to it?
    ProbeObjectStore,
    /// Is the export there?
    ProbeNfs,
    /// Make the bucket.
    EnsureBucket,
    /// Empty the bucket and delete it.
    EmptyBucket,
    /// Load data into the cache.
    Warm,
    /// Ask the cache's replicas how they do.
    AskReplicas,
}

impl TaskType {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::ProbeObjectStore,
        Self::ProbeNfs,
        Self::EnsureBucket,
        Self::EmptyBucket,
        Self::Warm,
        Self::AskReplicas,
    ];

    /// Whether a task of this type can take minutes: such a one never takes an endpoint's last
    /// place, so that probes of other datasets there get through.
    pub(super) const fn is_long(self) -> bool {
        matches!(self, Self::EmptyBucket | Self::Warm)
    }

    /// How long a worker may take for a task of this type.
    #[must_use]
    pub const fn deadline(self) -> Duration {
        match self {
            Self::ProbeObjectStore | Self::ProbeNfs => PROBE_DEADLINE,
            Self::EnsureBucket => ENSURE_DEADLINE,
            Self::EmptyBucket | Self::Warm => TURN_DEADLINE,
            Self::AskReplicas => ASK_DEADLINE,
        }
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done {
        /// `EnsureBucket`: the bucket did not exist and carries our mark now.
        created: bool,
        /// `EmptyBucket`: false when the bucket is not marked as ours and was kept.
        deleted: bool,
        /// `ProbeObjectStore`: why the keys may not write; none where they may, or nobody asked.
        writes_refused: Option<Failure>,
        /// `Warm`: what was read in its last turn.
        read: Amount,
        /// `AskReplicas`: what they said.
        replicas: Vec<ReplicaAnswer>,
    },
    /// It could not be done.
    Failed(Failure),
}

impl TaskSpec {
    /// What it is.
    #[must_use]
    pub const fn task_type(&self) -> TaskType {
        match &self.kind {
            task::Kind::ProbeObjectStore(_) => TaskType::ProbeObjectStore,
            task::Kind::ProbeNfs(_) => TaskType::ProbeNfs,
            task::Kind::EnsureBucket(_) => TaskType::EnsureBucket,
            task::Kind::EmptyBucket(_) => TaskType::EmptyBucket,
            task::Kind::Warm(_) => TaskType::Warm,
            task::Kind::AskReplicas(_) => TaskType::AskReplicas,
        }
    }

    /// The same for the same dataset, work, place and keys, in every operator.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        part(&self.dataset);
        part(&format!("{:?}", self.task_type()));
        part(&self.key_version);
        match &self.kind {
            task::Kind::ProbeNfs(probe) => {
                part(&probe.server);
                part(&probe.share);
            }
            task::Kind::AskReplicas(ask) => ask.urls.iter().for_each(|url| part(url)),
            kind => {
                if let task::Kind::ProbeObjectStore(ProbeObjectStore { writes: true, .. }) = kind {
                    part("writes");
                }
                for text in origins(kind).iter().flat_map(places) {
                    part(text);
                }
                if let task::Kind::Warm(warm) = kind {
                    warm.prefixes.iter().for_each(|prefix| part(prefix));
                }
            }
        }
        hex::encode(&hash.finalize()[..ID_BYTES])
    }

    /// The same task, for a worker that begins where another one ended.
    pub(super) fn going_on_behind(&self, key: &str) -> Self {
        let mut spec = self.clone();
        if let task::Kind::Warm(warm) = &mut spec.kind {
            key.clone_into(&mut warm.start_after);
        }
        spec
    }

    /// What it asks for, for a person.
    pub(super) fn place(&self) -> String {
        match &self.kind {
            task::Kind::ProbeNfs(probe) => format!("NFS server {}", probe.server),
            task::Kind::AskReplicas(_) => "replicas of the cache".to_owned(),
            kind => origins(kind).last().map_or_else(String::new, |origin| {
                format!("bucket {} at {}", origin.bucket, origin.endpoint)
            }),
        }
    }

    /// What it talks to: tasks with the same one share two places.
    pub(super) fn endpoint(&self) -> String {
        match &self.kind {
            task::Kind::ProbeNfs(probe) => probe.server.to_ascii_lowercase(),
            task::Kind::AskReplicas(ask) => ask
                .urls
                .first()
                .map(|url| authority(url))
                .unwrap_or_default(),
            kind => {
                let source = origins(kind).last();
                source
                    .map(|source| authority(&source.endpoint))
                    .unwrap_or_default()
            }
        }
    }
}

/// Bytes of the hash that make an id: enough that no two tasks of a cluster share one.
const ID_BYTES: usize = 16;

/// Where it reads and writes; the source is the last.
fn origins(kind: &task::Kind) -> &[Origin] {
    match kind {
        task::Kind::ProbeObjectStore(probe) => probe.origin.as_slice(),
        task::Kind::EnsureBucket(ensure) => ensure.origin.as_slice(),
        task::Kind::EmptyBucket(empty) => empty.origin.as_slice(),
        task::Kind::Warm(warm) => &warm.origins,
        task::Kind::ProbeNfs(_) | task::Kind::AskReplicas(_) => &[],
    }
}

/// All of an origin but its keys.
fn places(origin: &Origin) -> [&str; 5] {
    [
        &origin.endpoint,
        &origin.bucket,
        &origin.prefix,
        &origin.region,
        &origin.ca_pem,
    ]
}

/// Host and port of a URL. One that does not parse is its own place: its task will fail.
fn authority(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split('/').next().unwrap_or_default();
    authority.to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
