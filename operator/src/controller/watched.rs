//! What wakes which controller.

use std::{collections::HashMap, sync::Arc};

use dlf_core::{
    api::{ApiGroup, Dataset, DatasetInternal},
    names::{LABEL_DATASET_UID, LABEL_PLUGIN},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Client, Resource, ResourceExt,
    api::{Api, DynamicObject},
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, reflector::Store, watcher},
};
use tokio::task::JoinSet;

use super::{
    Metrics, Stores,
    cache::{CacheKind, CacheObjects},
    context::{Handles, references::SecretReferences},
    metrics::states::States,
    owned::{OwnedIndex, OwnedKind},
    queue::WorkQueue,
};
use crate::{
    waker::{Changes, Name, Waker},
    watches::{Change, events, follow, name_of, stored},
};

/// Work queues before the controllers of one group.
#[derive(Clone)]
pub(super) struct Queues {
    pub(super) datasets: Arc<WorkQueue>,
    pub(super) caches: Arc<WorkQueue>,
    pub(super) usage: Arc<WorkQueue>,
}

impl Queues {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let queue = |kind| Arc::new(WorkQueue::new(kind, metrics.clone()));
        Self {
            datasets: queue(Dataset::KIND),
            caches: queue(CACHE),
            usage: queue(USAGE),
        }
    }

    fn all(&self) -> [&WorkQueue; 3] {
        [&self.datasets, &self.caches, &self.usage]
    }

    /// What a Dataset makes, or what that is made of, changed.
    fn add(&self, name: &Name) {
        self.datasets.add(name);
        self.caches.add(name);
    }

    pub(super) fn close(&self) {
        self.all().into_iter().for_each(WorkQueue::close);
    }

    /// Nothing waits here any more, nor is anything tried again.
    pub(super) fn clear(&self) {
        self.all().into_iter().for_each(WorkQueue::clear);
    }
}

/// What the second and the third controller of each group reconcile: a Dataset's cache, and what is said
/// of its use.
const CACHE: &str = "Cache";
const USAGE: &str = "Usage";

pub(super) type AllQueues = HashMap<ApiGroup, Queues>;

pub(super) fn watch_group(
    client: &Client,
    group: ApiGroup,
    states: Arc<States>,
    all: &AllQueues,
    watches: &mut JoinSet<()>,
) -> Stores {
    let (datasets, writer) = store_with::<Dataset>(group);
    let stream = stored(
        Api::all_with(client.clone(), &group),
        watcher::Config::default(),
        writer,
    );
    let everyone = all.clone();
    watches.spawn(follow(stream, move |change| {
        let name = match change {
            Change::Applied(object) => {
                let name = name_of(&object);
                states.apply(group, &name, &object);
                name
            }
            Change::Deleted(object) => {
                let name = name_of(&object);
                states.delete(group, &name);
                name
            }
            Change::Listed(listed) => return states.keep_only(group, &listed),
        };
        // A Dataset matters to its rival in the other group too.
        for queues in everyone.values() {
            queues.add(&name);
            queues.usage.add(&name);
        }
    }));
    let (internals, writer) = store_with::<DatasetInternal>(group);
    let stream = stored(
        Api::all_with(client.clone(), &group),
        watcher::Config::default(),
        writer,
    );
    let own = all[&group].clone();
    watches.spawn(follow(stream, move |change| {
        if let Change::Applied(object) | Change::Deleted(object) = change {
            own.add(&name_of(&object));
        }
    }));
    Stores {
        datasets,
        internals,
    }
}

fn store_with<K>(group: ApiGroup) -> (Store<K>, kube::runtime::reflector::store::Writer<K>)
where
    K: Resource<DynamicType = ApiGroup> + Clone + 'static,
{
    let writer = kube::runtime::reflector::store::Writer::new(group);
    (writer.as_reader(), writer)
}

pub(super) fn watch_owned(
    client: &Client,
    index: &OwnedIndex,
    all: &AllQueues,
    watches: &mut JoinSet<()>,
) {
    for kind in OwnedKind::ALL {
        let api: Api<PartialObjectMeta<DynamicObject>> =
            Api::all_with(client.clone(), &kind.resource());
        let config = watcher::Config::default().labels(LABEL_DATASET_UID);
        let (index, all) = (index.clone(), all.clone());
        watches.spawn(follow(events(api, config), move |change| {
            let woken = match change {
                Change::Applied(object) => index.apply(kind, &object).into_iter().collect(),
                Change::Deleted(object) => index.delete(kind, &object).into_iter().collect(),
                Change::Listed(listed) => index.keep_only(kind, &listed),
            };
            for name in woken {
                for queues in all.values() {
                    queues.add(&name);
                }
            }
        }));
    }
}

pub(super) fn watch_secrets(
    client: &Client,
    references: &SecretReferences,
    all: &AllQueues,
    watches: &mut JoinSet<()>,
) {
    let api: Api<PartialObjectMeta<Secret>> = Api::all(client.clone());
    let (references, all) = (references.clone(), all.clone());
    watches.spawn(follow(
        events(api, watcher::Config::default()),
        move |change| {
            let woken = match change {
                Change::Applied(secret) | Change::Deleted(secret) => {
                    references.changed(&name_of(&secret))
                }
                Change::Listed(listed) => references.listed(&listed),
            };
            for (group, namespace, name) in woken {
                all[&group].add(&(namespace, name));
            }
        },
    ));
}

pub(super) fn watch_caches(
    client: &Client,
    namespace: &str,
    objects: &CacheObjects,
    all: &AllQueues,
    watches: &mut JoinSet<()>,
) {
    for kind in CacheKind::ALL {
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &kind.resource());
        let config = watcher::Config::default().labels(LABEL_PLUGIN);
        let slim = events(api, config).modify(|object| object.managed_fields_mut().clear());
        let (objects, all) = (objects.clone(), all.clone());
        watches.spawn(follow(slim, move |change| {
            let woken = match change {
                Change::Applied(object) => objects.apply(kind, object).into_iter().collect(),
                Change::Deleted(object) => objects.delete(kind, &object).into_iter().collect(),
                Change::Listed(listed) => objects.keep_only(kind, &listed),
            };
            for name in woken {
                for queues in all.values() {
                    queues.caches.add(&name);
                }
            }
        }));
    }
}

/// A pod that begins or ceases to use a dataset is news of its use.
pub(super) fn watch_pods(changes: Waker<Name>, all: &AllQueues, watches: &mut JoinSet<()>) {
    forward(changes, all, |queues, name| queues.usage.add(name), watches);
}

/// What was found of its cache or of its use matters to the dataset itself.
pub(super) fn watch_findings(changes: Waker<Name>, all: &AllQueues, watches: &mut JoinSet<()>) {
    forward(
        changes,
        all,
        |queues, name| queues.datasets.add(name),
        watches,
    );
}

fn forward(
    changes: Waker<Name>,
    all: &AllQueues,
    add: impl Fn(&Queues, &Name) + Send + 'static,
    watches: &mut JoinSet<()>,
) {
    let all = all.clone();
    watches.spawn(async move {
        while let Some(name) = changes.next().await {
            for queues in all.values() {
                add(queues, &name);
            }
        }
    });
}

/// What nodes and workers report is about one dataset.
pub(super) fn watch_changes(
    changes: Changes,
    handles: &Handles,
    all: &AllQueues,
    watches: &mut JoinSet<()>,
) {
    let (handles, all) = (handles.clone(), all.clone());
    let queues = move |handle: &str| {
        let (group, namespace, name) = handles.get(handle)?;
        Some((all[&group].clone(), (namespace, name)))
    };
    let queues_of_usage = queues.clone();
    watches.spawn(async move {
        while let Some(handle) = changes.reports.next().await {
            if let Some((queues, name)) = queues(&handle) {
                queues.add(&name);
            }
        }
    });
    watches.spawn(async move {
        while let Some(handle) = changes.usage.next().await {
            if let Some((queues, name)) = queues_of_usage(&handle) {
                queues.usage.add(&name);
            }
        }
    });
}
