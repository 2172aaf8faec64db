//! What this node has mounted, in memory and, for the next driver, in a tmpfs.
//!
//! Every change is written before it is believed: a driver killed between any two writes leaves
//! records that [`crate::volumes::restore`] can reconcile with the kernel's mount table.

mod records;
mod store;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlf_wire::dataset::v1::{DatasetConfig, NetworkRules};
use dlf_wire::nodes::v1::{Held, MounterWanted, PodRef};

pub use records::{MountKey, MountRecord, TargetRecord};
pub use store::StateError;
use store::{Kind, Store};

/// The tables of a node driver. All methods are short: the writes go to memory.
#[derive(Debug)]
pub struct State {
    store: Store,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    /// By volume handle: the newest configuration of each dataset in use.
    datasets: HashMap<String, DatasetConfig>,
    mounts: HashMap<String, MountRecord>,
    /// By path below the kubelet's directory.
    targets: HashMap<String, TargetRecord>,
    network: NetworkRules,
    wanted: MounterWanted,
}

impl State {
    /// Reads what an earlier driver left in `directory`.
    pub fn load(directory: &Path) -> Result<Self, StateError> {
        let store = Store::open(directory)?;
        let datasets: Vec<DatasetConfig> = store.load(Kind::Dataset)?;
        let mounts: Vec<MountRecord> = store.load(Kind::Mount)?;
        let targets: Vec<TargetRecord> = store.load(Kind::Target)?;
        let tables = Tables {
            datasets: by(datasets, |dataset| dataset.volume_handle.clone()),
            mounts: by(mounts, |mount| mount.id.clone()),
            targets: by(targets, |target| target.target.clone()),
            network: store.load(Kind::Network)?.pop().unwrap_or_default(),
            wanted: store.load(Kind::Wanted)?.pop().unwrap_or_default(),
        };
        Ok(Self {
            store,
            tables: Mutex::new(tables),
        })
    }

    /// Remembers a dataset's configuration if it is newer than what is known; returns the newest.
    pub fn put_dataset(&self, dataset: DatasetConfig) -> Result<DatasetConfig, StateError> {
        let mut tables = self.tables();
        if let Some(known) = tables.datasets.get(&dataset.volume_handle)
            && known.version >= dataset.version
        {
            return Ok(known.clone());
        }
        self.store
            .put(Kind::Dataset, &dataset.volume_handle, &dataset)?;
        tables
            .datasets
            .insert(dataset.volume_handle.clone(), dataset.clone());
        Ok(dataset)
    }

    /// The newest configuration of a dataset in use.
    #[must_use]
    pub fn dataset(&self, handle: &str) -> Option<DatasetConfig> {
        self.tables().datasets.get(handle).cloned()
    }

    /// Forgets a dataset, its keys included, unless something still uses it; true if it did.
    pub fn drop_unused_dataset(&self, handle: &str) -> Result<bool, StateError> {
        let mut tables = self.tables();
        let used = tables
            .targets
            .values()
            .any(|target| target.volume_handle == handle)
            || tables.mounts.values().any(|mount| mount.handle() == handle);
        if used {
            return Ok(false);
        }
        self.store.remove(Kind::Dataset, handle)?;
        tables.datasets.remove(handle);
        Ok(true)
    }

    /// Handles of all datasets that are remembered.
    #[must_use]
    pub fn handles(&self) -> Vec<String> {
        self.tables().datasets.keys().cloned().collect()
    }

    /// Writes a mount down.
    pub fn put_mount(&self, mount: MountRecord) -> Result<(), StateError> {
        let mut tables = self.tables();
        self.store.put(Kind::Mount, &mount.id, &mount)?;
        tables.mounts.insert(mount.id.clone(), mount);
        Ok(())
    }

    /// Gives a mount a newer configuration, if it is still there; returns what it is then.
    pub fn reconfigure(
        &self,
        id: &str,
        dataset: &DatasetConfig,
    ) -> Result<Option<MountRecord>, StateError> {
        let mut tables = self.tables();
        let Some(mount) = tables.mounts.get_mut(id) else {
            return Ok(None);
        };
        let known = mount.dataset.as_ref().map_or(0, |known| known.version);
        if known < dataset.version {
            let newer = MountRecord {
                dataset: Some(dataset.clone()),
                ..mount.clone()
            };
            self.store.put(Kind::Mount, id, &newer)?;
            *mount = newer;
        }
        Ok(Some(mount.clone()))
    }

    /// Strikes a mount out.
    pub fn remove_mount(&self, id: &str) -> Result<(), StateError> {
        let mut tables = self.tables();
        self.store.remove(Kind::Mount, id)?;
        tables.mounts.remove(id);
        Ok(())
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

    /// Writes a target down.
    pub fn put_target(&self, target: TargetRecord) -> Result<(), StateError> {
        let mut tables = self.tables();
        self.store.put(Kind::Target, &target.target, &target)?;
        tables.targets.insert(target.target.clone(), target);
        Ok(())
    }

    /// Strikes a target out.
    pub fn remove_target(&self, target: &str) -> Result<(), StateError> {
        let mut tables = self.tables();
        self.store.remove(Kind::Target, target)?;
        tables.targets.remove(target);
        Ok(())
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
    pub fn held(&self) -> Vec<Held> {
        let tables = self.tables();
        let held = |dataset: &DatasetConfig| Held {
            volume_handle: dataset.volume_handle.clone(),
            version: dataset.version,
            pods: tables.pods(&dataset.volume_handle),
        };
        tables.datasets.values().map(held).collect()
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

    /// Remembers the address rules; true if they are new.
    pub fn put_network(&self, network: NetworkRules) -> Result<bool, StateError> {
        let mut tables = self.tables();
        if tables.network == network {
            return Ok(false);
        }
        self.store.put(Kind::Network, "network", &network)?;
        tables.network = network;
        Ok(true)
    }

    /// The mounter revision that takes new mounts; "" before the first operator was met.
    #[must_use]
    pub fn wanted(&self) -> String {
        self.tables().wanted.revision.clone()
    }

    /// Remembers the mounter revision that takes new mounts.
    pub fn put_wanted(&self, wanted: MounterWanted) -> Result<(), StateError> {
        self.store.put(Kind::Wanted, "wanted", &wanted)?;
        self.tables().wanted = wanted;
        Ok(())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Each method leaves the tables whole at every point where it could panic.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
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

fn by<T>(records: Vec<T>, name: impl Fn(&T) -> String) -> HashMap<String, T> {
    records
        .into_iter()
        .map(|record| (name(&record), record))
        .collect()
}

#[cfg(test)]
mod tests;
