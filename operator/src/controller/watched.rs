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
    Stores,
    cache::{CacheKind, CacheObjects},
    context::Handles,
    owned::{OwnedIndex, OwnedKind},
    references::SecretReferences,
    states::States,
};
use crate::{
    waker::{Changes, Name, Waker},
    watches::{Change, events, follow, name_of, stored},
};

/// Wakers of one group.
#[derive(Clone, Default)]
pub(super) struct Wakers {
    pub(super) datasets: Waker<Name>,
    pub(super) internals: Waker<Name>,
    pub(super) caches: Waker<Name>,
}

impl Wakers {
    fn wake(&self, name: &Name) {
        self.datasets.wake(name);
        self.internals.wake(name);
        self.caches.wake(name);
    }

    pub(super) fn close(&self) {
        self.datasets.close();
        self.internals.close();
        self.caches.close();
    }
}

pub(super) type AllWakers = HashMap<ApiGroup, Wakers>;

pub(super) fn watch_group(
    client: &Client,
    group: ApiGroup,
    states: Arc<States>,
    all: &AllWakers,
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
        for wakers in everyone.values() {
            wakers.wake(&name);
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
            own.wake(&name_of(&object));
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
    all: &AllWakers,
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
                for wakers in all.values() {
                    wakers.wake(&name);
                }
            }
        }));
    }
}

pub(super) fn watch_secrets(
    client: &Client,
    references: &SecretReferences,
    all: &AllWakers,
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
                all[&group].internals.wake(&(namespace, name));
            }
        },
    ));
}

pub(super) fn watch_caches(
    client: &Client,
    namespace: &str,
    objects: &CacheObjects,
    all: &AllWakers,
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
                for wakers in all.values() {
                    wakers.caches.wake(&name);
                }
            }
        }));
    }
}

/// A pod that begins or ceases to use a dataset wakes it, and so does news of its cache.
pub(super) fn wake_datasets(changes: Waker<Name>, all: &AllWakers, watches: &mut JoinSet<()>) {
    let all = all.clone();
    watches.spawn(async move {
        while let Some(name) = changes.next().await {
            for wakers in all.values() {
                wakers.datasets.wake(&name);
            }
        }
    });
}

/// What nodes and workers report wakes the dataset it is about.
pub(super) fn watch_changes(
    changes: Changes,
    handles: &Handles,
    all: &AllWakers,
    watches: &mut JoinSet<()>,
) {
    let (handles, all) = (handles.clone(), all.clone());
    watches.spawn(async move {
        while let Some(handle) = changes.next().await {
            if let Some((group, namespace, name)) = handles.get(&handle) {
                all[&group].wake(&(namespace, name));
            }
        }
    });
}
