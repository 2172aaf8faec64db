//! What can be asked of the tables.

use dlf_wire::dataset::v1::{DatasetConfig, NetworkRules};
use dlf_wire::nodes::v1::{Held, PodRef};

use super::{MountRecord, State, Tables, TargetRecord};
use crate::directories::Mounted;

impl State {
    /// The newest configuration of a dataset in use.
    #[must_use]
    pub fn dataset(&self, handle: &str) -> Option<DatasetConfig> {
        self.tables().datasets.get(handle).cloned()
    }

    /// Handles of all datasets that are remembered.
    #[must_use]
    pub fn handles(&self) -> Vec<String> {
        self.tables().datasets.keys().cloned().collect()
    }

    /// One mount.
    #[must_use]
    pub fn mount(&self, id: &str) -> Option<MountRecord> {
        self.tables().mounts.get(id).cloned()
    }

    /// All mounts.
    #[must_use]
    pub fn mounts(&self) -> Vec<MountRecord> {
        self.tables().mounts.values().cloned().collect()
    }

    /// One target, by its path below the kubelet's directory.
    #[must_use]
    pub fn target(&self, target: &str) -> Option<TargetRecord> {
        self.tables().targets.get(target).cloned()
    }

    /// All targets.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetRecord> {
        self.tables().targets.values().cloned().collect()
    }

    /// The targets that are binds of one mount.
    #[must_use]
    pub fn targets_of(&self, mount: &str) -> Vec<TargetRecord> {
        let tables = self.tables();
        let targets = tables.targets.values();
        targets
            .filter(|target| target.mount_id == mount)
            .cloned()
            .collect()
    }

    /// What to tell an operator of this node when a stream begins.
    #[must_use]
    pub fn in_use(&self) -> Vec<Held> {
        let tables = self.tables();
        let entry = |dataset: &DatasetConfig| Held {
            volume_handle: dataset.volume_handle.clone(),
            version: dataset.version,
            pods: tables.pods(&dataset.volume_handle),
        };
        tables.datasets.values().map(entry).collect()
    }

    /// The pods that use a dataset here.
    #[must_use]
    pub fn pods(&self, handle: &str) -> Vec<PodRef> {
        self.tables().pods(handle)
    }

    /// Addresses that no tenant may point us at; empty before the first operator was met.
    #[must_use]
    pub fn network(&self) -> NetworkRules {
        self.tables().network.clone()
    }

    /// The mounter revision that takes new mounts; "" before the first operator was met.
    #[must_use]
    pub fn wanted(&self) -> String {
        self.tables().wanted.revision.clone()
    }
}

impl Mounted for State {
    fn is_mounted(&self, handle: &str) -> bool {
        let tables = self.tables();
        tables.mounts.values().any(|mount| mount.handle() == handle)
    }

    fn is_mount(&self, id: &str) -> bool {
        self.tables().mounts.contains_key(id)
    }
}

impl Tables {
    fn pods(&self, handle: &str) -> Vec<PodRef> {
        let targets = self.targets.values();
        let mut pods: Vec<PodRef> = targets
            .filter(|target| target.volume_handle == handle)
            .filter_map(|target| target.pod.clone())
            .collect();
        pods.sort_by(|a, b| a.uid.cmp(&b.uid));
        pods.dedup();
        pods
    }
}
