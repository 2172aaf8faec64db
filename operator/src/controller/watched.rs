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
    context::Handles,
    line::Line,
    owned::{OwnedIndex, OwnedKind},
    references::SecretReferences,
    states::States,
};
use crate::{
    waker::{Changes, Name, Urgency, Waker},
    watches::{Change, events, follow, name_of, stored},
};

/// Lines before the controllers of one group.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) datasets: Arc<Line>,
    pub(super) internals: Arc<Line>,
    pub(super) caches: Arc<Line>,
}

impl Lines {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let line = |kind| Arc::new(Line::new(kind, metrics));
        Self {
            datasets: line(Dataset::KIND),
            internals: line(DatasetInternal::KIND),
            caches: line(CACHE),
        }
    }

    fn all(&self) -> [&Line; 3] {
        [&self.datasets, &self.internals, &self.caches]
    }

    fn wake(&self, name: &Name, urgency: Urgency) {
        self.all()
            .into_iter()
            .for_each(|line| line.wake(name, urgency));
    }

    pub(super) fn close(&self) {
        self.all().into_iter().for_each(Line::close);
    }

    /// Nothing waits here any more, nor is anything tried again.
    pub(super) fn forget(&self) {
        self.all().into_iter().for_each(Line::forget);
    }
}

/// What the third controller of each group reconciles: a Dataset's cache.
const CACHE: &str = "Cache";

pub(super) type AllLines = HashMap<ApiGroup, Lines>;

pub(super) fn watch_group(
    client: &Client,
    group: ApiGroup,
    states: Arc<States>,
    all: &AllLines,
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
        for lines in everyone.values() {
            lines.wake(&name, Urgency::Soon);
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
            own.wake(&name_of(&object), Urgency::Soon);
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
    all: &AllLines,
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
                for lines in all.values() {
                    lines.wake(&name, Urgency::Soon);
                }
            }
        }));
    }
}

pub(super) fn watch_secrets(
    client: &Client,
    references: &SecretReferences,
    all: &AllLines,
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
                all[&group]
                    .internals
                    .wake(&(namespace, name), Urgency::Soon);
            }
        },
    ));
}

pub(super) fn watch_caches(
    client: &Client,
    namespace: &str,
    objects: &CacheObjects,
    all: &AllLines,
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
                for lines in all.values() {
                    lines.caches.wake(&name, Urgency::Soon);
                }
            }
        }));
    }
}

/// A pod that begins or ceases to use a dataset wakes it, and so does news of its cache.
pub(super) fn wake_datasets(changes: Waker<Name>, all: &AllLines, watches: &mut JoinSet<()>) {
    let all = all.clone();
    watches.spawn(async move {
        while let Some((name, urgency)) = changes.next().await {
            for lines in all.values() {
                lines.datasets.wake(&name, urgency);
            }
        }
    });
}

/// What nodes and workers report wakes the dataset it is about.
pub(super) fn watch_changes(
    changes: Changes,
    handles: &Handles,
    all: &AllLines,
    watches: &mut JoinSet<()>,
) {
    let (handles, all) = (handles.clone(), all.clone());
    watches.spawn(async move {
        while let Some((handle, urgency)) = changes.next().await {
            if let Some((group, namespace, name)) = handles.get(&handle) {
                all[&group].wake(&(namespace, name), urgency);
            }
        }
    });
}
