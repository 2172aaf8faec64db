use std::{collections::HashMap, sync::Arc};

use dlf_core::api::{ApiGroup, Dataset, DatasetInternal};
use dlf_plugin_host::Registry as Plugins;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::OwnedMutexGuard;

use super::{
    Metrics, Noted,
    cache::{Book, CacheObjects, Withdrawn},
    events::Recorder,
    owned::Writer,
    references::{Referrer, SecretReferences},
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
    pub usage_noted: Noted,
    /// Since when a Dataset is on its way whose status does not say so.
    pub datasets_met: Noted,
    /// The same of a DatasetInternal.
    pub internals_met: Noted,
    /// What is counted.
    pub metrics: Metrics,
    /// Namespaces, for whether one is on its way out.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// Both kinds in both groups.
    pub stores: HashMap<ApiGroup, Stores>,
    /// One reconcile of a name at a time, over kinds and groups.
    pub lanes: Lanes,
    /// The same for caches, which wait for plugins and so for nobody else.
    pub cache_lanes: Lanes,
    /// What caches are made of.
    pub cache_objects: CacheObjects,
    /// What stands in front of datasets' sources.
    pub book: Book,
    /// Caches that go once no environment holds them.
    pub withdrawn: Withdrawn,
    /// Datasets in front of which something changed.
    pub cache_news: Waker<Name>,
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
        for noted in [&self.usage_noted, &self.datasets_met, &self.internals_met] {
            noted.forget(handle);
        }
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

/// One lane a dataset name: its reconciles run one after the other.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    lanes: Arc<std::sync::Mutex<HashMap<(String, String), Lane>>>,
}

type Lane = Arc<tokio::sync::Mutex<()>>;

impl Lanes {
    /// Waits for the lane of a name and holds it until the guard is dropped.
    pub async fn enter(&self, namespace: &str, name: &str) -> OwnedMutexGuard<()> {
        let lane = {
            let mut lanes = self
                .lanes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            Arc::clone(
                lanes
                    .entry((namespace.to_owned(), name.to_owned()))
                    .or_default(),
            )
        };
        lane.lock_owned().await
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
