//! What the controllers of both groups share, and what they remember by name.

mod keyed_lock;
pub(super) mod references;
mod stopwatches;

use std::{collections::HashMap, sync::Arc};

use dlf_core::api::{ApiGroup, Dataset, DatasetInternal};
use dlf_plugin_host::Registry as Plugins;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

use self::references::{Referrer, SecretReferences};
pub use self::{keyed_lock::KeyedLock, stopwatches::Stopwatches};
use super::{
    Metrics,
    cache::{CacheObjects, CacheStates, Withdrawn},
    events::Recorder,
    owned::Writer,
    plans::Plans,
};
use crate::{
    nodes::Hub,
    pods::PodIndex,
    tasks::Tasks,
    waker::{Name, Waker},
};

/// What the controllers of both groups share.
pub struct Shared {
    /// The API server.
    pub client: Client,
    /// The operator's own namespace.
    pub namespace: String,
    /// The namespace of caches.
    pub caches_namespace: String,
    /// Secrets in it for pulling the images of caches.
    pub pull_secrets: Vec<String>,
    /// Plugins, routes and the rest of the configuration.
    pub plugins: Arc<Plugins>,
    /// Datasets as nodes see them.
    pub nodes: Arc<Hub>,
    /// Work for workers.
    pub tasks: Arc<Tasks>,
    /// Who uses what.
    pub pods: Arc<PodIndex>,
    /// Writes owned objects.
    pub writer: Writer,
    /// Writes events, aggregated.
    pub recorder: Recorder,
    /// Which datasets a Secret matters to.
    pub references: SecretReferences,
    /// Which dataset a volume handle belongs to.
    pub handles: Handles,
    /// When the usage of a dataset was last written into its status.
    pub usage_written: Stopwatches,
    /// When writes to a dataset were last seen to be refused.
    pub refusals_seen: Stopwatches,
    /// Since when a Dataset is on its way whose status does not say so.
    pub unsettled: Stopwatches,
    /// What is counted.
    pub metrics: Metrics,
    /// Namespaces, for whether one is on its way out.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// Both kinds in both groups.
    pub stores: HashMap<ApiGroup, Stores>,
    /// One reconcile of a name at a time, over kinds and groups.
    pub dataset_locks: KeyedLock,
    /// The same for caches, which wait for plugins and so for nobody else.
    pub cache_locks: KeyedLock,
    /// What caches are made of.
    pub cache_objects: CacheObjects,
    /// The state of each dataset's cache.
    pub cache_states: CacheStates,
    /// Caches that go once no environment holds them.
    pub withdrawn: Withdrawn,
    /// What plugins planned that are not compiled in.
    pub plans: Plans,
    /// Datasets of whose cache, plan or use something was found that matters to themselves.
    pub findings: Waker<Name>,
}

/// What the watches show of one group.
pub struct Stores {
    /// Its Datasets.
    pub datasets: Store<Dataset>,
    /// Its objects of kind DatasetInternal.
    pub internals: Store<DatasetInternal>,
}

/// What a controller of one group works with.
#[derive(Clone)]
pub struct Context {
    /// Its group.
    pub group: ApiGroup,
    /// What it shares with the others.
    pub shared: Arc<Shared>,
}

impl Shared {
    /// The dataset with this handle has gone.
    pub(super) fn forget(&self, handle: &str) {
        for stopwatches in [&self.usage_written, &self.refusals_seen, &self.unsettled] {
            stopwatches.forget(handle);
        }
        self.plans.forget(handle);
    }
}

impl Context {
    /// The Dataset of a name in a group.
    #[must_use]
    pub fn dataset(&self, group: ApiGroup, namespace: &str, name: &str) -> Option<Arc<Dataset>> {
        let reference = ObjectRef::new_with(name, group).within(namespace);
        self.shared.stores.get(&group)?.datasets.get(&reference)
    }

    /// The Dataset of the same name in the other group, if it is the elder of the two: then this one
    /// makes nothing. Of two of the same second the original's group has the elder.
    #[must_use]
    pub fn elder(&self, dataset: &Dataset) -> Option<Arc<Dataset>> {
        let namespace = dataset.metadata.namespace.as_deref()?;
        let name = dataset.metadata.name.as_deref()?;
        let rival = self.dataset(self.group.other(), namespace, name)?;
        let age = |dataset: &Dataset, group| {
            let created = dataset.metadata.creation_timestamp.as_ref();
            (created.map(|time| time.0), group)
        };
        let is_elder = age(&rival, self.group.other()) < age(dataset, self.group);
        is_elder.then_some(rival)
    }

    /// The DatasetInternal of a name in this group.
    #[must_use]
    pub fn internal(&self, namespace: &str, name: &str) -> Option<Arc<DatasetInternal>> {
        let reference = ObjectRef::new_with(name, self.group).within(namespace);
        self.shared
            .stores
            .get(&self.group)?
            .internals
            .get(&reference)
    }

    /// Whether nothing may be made in the namespace any more.
    #[must_use]
    pub fn is_terminating(&self, namespace: &str) -> bool {
        self.shared
            .namespaces
            .get(&ObjectRef::new(namespace))
            .is_some_and(|found| found.metadata.deletion_timestamp.is_some())
    }
}

/// Datasets by the handle of their volume, which is all that nodes and workers know of them.
#[derive(Clone, Debug, Default)]
pub struct Handles {
    inner: Arc<std::sync::Mutex<HashMap<String, Referrer>>>,
}

impl Handles {
    /// Remembers whose handle it is.
    pub fn set(&self, handle: &str, dataset: Referrer) {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(handle.to_owned(), dataset);
    }

    /// Whose handle it is.
    #[must_use]
    pub fn get(&self, handle: &str) -> Option<Referrer> {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(handle)
            .cloned()
    }

    /// Forgets a handle.
    pub fn remove(&self, handle: &str) {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .remove(handle);
    }
}
