use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::source::{KeySource, ObjectStoreSource};

/// What should exist for a dataset, as a storage plugin sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StoragePlan {
    /// What pods mount.
    pub volume: Volume,
    /// What `configmap` pods find in ConfigMap `NAME`.
    pub config_map: BTreeMap<String, String>,
    /// What `configmap` pods find in Secret `NAME`.
    pub secret: BTreeMap<String, SecretEntry>,
    /// Work for the worker, in this order; a task waits for the one before it.
    pub tasks: Vec<Task>,
}

/// What pods mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Volume {
    /// Something our CSI driver mounts.
    Mount(Mount),
}

/// Something our CSI driver mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Refuse every write.
    pub readonly: bool,
    /// What it is.
    pub file_system: FileSystem,
}

/// What a mount is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum FileSystem {
    /// An object store through FUSE.
    ObjectStore(ObjectStoreMount),
    /// An NFS export through the kernel.
    Nfs(NfsMount),
    /// A directory of the node.
    HostPath(HostPathMount),
}

/// An object store through FUSE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ObjectStoreMount {
    /// A name of the mounter's table of programs.
    pub program: String,
    /// Options of that program.
    pub options: BTreeMap<String, String>,
    /// In the order in which to read; writes go to the last, the source.
    pub origins: Vec<OriginRef>,
    /// Owner of all files; none: root.
    pub uid: Option<u32>,
    /// Group of all files; none: the pod's `fsGroup`, or root.
    pub gid: Option<u32>,
    /// Permission bits to take away from 0777.
    pub umask: u32,
    /// How stale a read may be, in milliseconds; none: the first answer is trusted.
    pub revalidate_ms: Option<u64>,
}

/// One place the bytes can be read from, with references where keys will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OriginRef {
    /// http or https URL.
    pub endpoint: String,
    /// The bucket alone.
    pub bucket: String,
    /// `""`, or a prefix that ends in `/`.
    pub prefix: String,
    /// `""`: the store's default.
    pub region: String,
    /// Secret of the dataset's namespace with `accessKeyID`, `secretAccessKey` and perhaps `sessionToken`; none: not signed.
    pub key_secret: Option<String>,
    /// Secret of the dataset's namespace with `ca.crt`; none: public CAs.
    pub ca_secret: Option<String>,
}

impl OriginRef {
    /// A bucket; none when its keys stand in the Dataset, for a plan refers to keys.
    #[must_use]
    pub fn of(source: &ObjectStoreSource) -> Option<Self> {
        let key_secret = match &source.keys {
            KeySource::Anonymous => None,
            KeySource::Secret { name } => Some(name.clone()),
            KeySource::Inline { .. } => return None,
        };
        Some(Self {
            endpoint: source.endpoint.clone(),
            bucket: source.location.bucket.clone(),
            prefix: source.location.prefix.clone(),
            region: source.region.clone(),
            key_secret,
            ca_secret: source.ca_secret.clone(),
        })
    }
}

/// An NFS export through the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NfsMount {
    /// Host name or address.
    pub server: String,
    /// Absolute path.
    pub share: String,
    /// Comma-separated, as mount(8) takes them.
    pub options: String,
    /// Make the directory if it does not exist.
    pub create: bool,
}

/// A directory of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostPathMount {
    /// Absolute and normal.
    pub path: String,
    /// Make the directory if it does not exist.
    pub create: bool,
}

/// A value of Secret `NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum SecretEntry {
    /// The value itself: nothing secret.
    Literal(String),
    /// A value of another Secret of the namespace, filled in by the host.
    Key {
        /// That Secret's name.
        secret: String,
        /// The key in it.
        key: String,
        /// Whether Secret `NAME` goes without where that Secret has no such key.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        optional: bool,
    },
}

/// Work that touches a source; its result comes back as a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// Make the bucket if it does not exist, and mark it as this dataset's.
    EnsureBucket(OriginRef),
    /// List one key.
    ProbeObjectStore(OriginRef),
    /// Look the export up.
    ProbeNfs {
        /// Host name or address.
        server: String,
        /// Absolute path.
        share: String,
    },
    /// Empty and delete the bucket if it is marked as this dataset's.
    EmptyBucket(OriginRef),
}
