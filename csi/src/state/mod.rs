//! What this node has mounted, in memory and, for the next driver, in a tmpfs.
//!
//! Every change is written before it is believed: a driver killed between any two writes leaves
//! records that [`crate::volumes::restore`] can reconcile with the kernel's mount table.

mod queries;
mod records;
mod store;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlf_wire::dataset::v1::{DatasetConfig, NetworkRules};
use dlf_wire::nodes::v1::MounterWanted;

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

    /// Replaces a dataset's configuration by a newer one; false if it is not newer, or if the
    /// dataset was dropped while the new one was on its way.
    pub fn renew_dataset(&self, dataset: &DatasetConfig) -> Result<bool, StateError> {
        let mut tables = self.tables();
        let handle = &dataset.volume_handle;
        let known = tables.datasets.get(handle);
        if known.is_none_or(|known| known.version >= dataset.version) {
            return Ok(false);
        }
        self.store.put(Kind::Dataset, handle, dataset)?;
        tables.datasets.insert(handle.clone(), dataset.clone());
        Ok(true)
    }

    /// Writes a new mount down, with the newest configuration of its source; returns what it is
    /// then. A version that is accepted from now on finds it.
    pub fn put_mount(&self, mut mount: MountRecord) -> Result<MountRecord, StateError> {
        let mut tables = self.tables();
        let newest = tables.datasets.get(mount.handle());
        if let (Some(own), Some(newest)) = (&mut mount.dataset, newest)
            && own.source_revision == newest.source_revision
            && own.version < newest.version
        {
            own.clone_from(newest);
        }
        self.store.put(Kind::Mount, &mount.id, &mount)?;
        tables.mounts.insert(mount.id.clone(), mount.clone());
        Ok(mount)
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

    /// Remembers the mounter revision that takes new mounts. A leader that has just begun does not know it
    /// yet and says "": what the one before said stays.
    pub fn put_wanted(&self, wanted: MounterWanted) -> Result<(), StateError> {
        if wanted.revision.is_empty() {
            return Ok(());
        }
        self.store.put(Kind::Wanted, "wanted", &wanted)?;
        self.tables().wanted = wanted;
        Ok(())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Each method leaves the tables whole at every point where it could panic.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
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
