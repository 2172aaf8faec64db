use std::{collections::HashMap, future::Future, sync::Arc};

use dlf_core::{
    api::{ApiGroup, Dataset, DatasetInternal},
    names::{LABEL_DATASET_UID, LABEL_PLUGIN},
};
use dlf_plugin_host::Registry as Plugins;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Client, Resource, ResourceExt,
    api::{Api, DynamicObject},
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        reflector::{Store, store},
        watcher,
    },
};
use tokio::task::JoinSet;

use super::{
    Context, Lanes, Metrics, Noted, Shared, Stores,
    cache::{self, Book, CacheKind, CacheObjects},
    context::Handles,
    control::control,
    dataset,
    events::Recorder,
    internal,
    owned::{OwnedIndex, OwnedKind, Writer},
    references::SecretReferences,
    states::States,
};
use crate::{
    nodes::{Changes, Hub},
    pods::PodIndex,
    tasks::Tasks,
    waker::{Name, Waker},
    watches::{Change, events, follow, name_of, stored},
};

/// What the controllers are given.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// The operator's own namespace.
    pub namespace: String,
    /// The namespace of caches.
    pub caches_namespace: String,
    /// Plugins and configuration.
    pub plugins: Arc<Plugins>,
    /// Datasets as nodes see them.
    pub nodes: Arc<Hub>,
    /// Work for workers.
    pub tasks: Arc<Tasks>,
    /// Datasets about which nodes or workers have news.
    pub changes: Arc<Changes>,
    /// Who uses what.
    pub pods: Arc<PodIndex>,
    /// Datasets whose users changed.
    pub pod_changes: Waker<Name>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Wakers of one group.
#[derive(Clone, Default)]
struct Wakers {
    datasets: Waker<Name>,
    internals: Waker<Name>,
    caches: Waker<Name>,
}

impl Wakers {
    fn wake(&self, name: &Name) {
        self.datasets.wake(name.clone());
        self.internals.wake(name.clone());
        self.caches.wake(name.clone());
    }

    fn close(&self) {
        self.datasets.close();
        self.internals.close();
        self.caches.close();
    }
}

/// What the third controller of each group reconciles: a Dataset's cache.
const CACHE: &str = "Cache";

type AllWakers = HashMap<ApiGroup, Wakers>;

/// Runs the controllers of both kinds in both groups until `stop` resolves; what is being written
/// then is written to its end.
pub async fn run(parts: Parts, stop: impl Future<Output = ()>) {
    let wakers: AllWakers = ApiGroup::ALL
        .into_iter()
        .map(|group| (group, Wakers::default()))
        .collect();
    let mut watches = JoinSet::new();
    let shared = Arc::new(start_watches(parts, &wakers, &mut watches));
    let mut controllers = JoinSet::new();
    for (group, wakers) in &wakers {
        let stores = &shared.stores[group];
        let context = Arc::new(Context {
            group: *group,
            shared: Arc::clone(&shared),
        });
        let of_datasets = control(
            Dataset::KIND,
            stores.datasets.clone(),
            wakers.datasets.clone(),
            Arc::clone(&context),
            dataset::reconcile,
        );
        controllers.spawn(control(
            DatasetInternal::KIND,
            stores.internals.clone(),
            wakers.internals.clone(),
            Arc::clone(&context),
            internal::reconcile,
        ));
        let of_caches = control(
            CACHE,
            stores.datasets.clone(),
            wakers.caches.clone(),
            context,
            cache::reconcile,
        );
        let datasets = stores.datasets.clone();
        controllers.spawn(async move {
            // A store wakes the last of those who wait for its first list: so one waits for both.
            if datasets.wait_until_ready().await.is_ok() {
                let mut both = JoinSet::new();
                both.spawn(of_datasets);
                both.spawn(of_caches);
                while both.join_next().await.is_some() {}
            }
        });
    }
    stop.await;
    for wakers in wakers.values() {
        wakers.close();
    }
    while controllers.join_next().await.is_some() {}
    watches.shutdown().await;
    shared.metrics.states.clear();
}

/// Starts every watch and makes what the controllers share.
fn start_watches(parts: Parts, wakers: &AllWakers, watches: &mut JoinSet<()>) -> Shared {
    let Parts {
        client,
        namespace,
        caches_namespace,
        plugins,
        nodes,
        tasks,
        changes,
        pods,
        pod_changes,
        metrics,
    } = parts;
    let index = OwnedIndex::default();
    let references = SecretReferences::default();
    let handles = Handles::default();

    let (namespaces, namespace_writer) = store::<PartialObjectMeta<Namespace>>();
    let namespace_watch = stored(
        Api::all(client.clone()),
        watcher::Config::default(),
        namespace_writer,
    );
    watches.spawn(follow(namespace_watch, |_| {}));

    watch_owned(&client, &index, wakers, watches);
    watch_secrets(&client, &references, wakers, watches);
    let cache_objects = CacheObjects::default();
    watch_caches(&client, &caches_namespace, &cache_objects, wakers, watches);
    let cache_news = Waker::default();
    wake_datasets(pod_changes, wakers, watches);
    wake_datasets(cache_news.clone(), wakers, watches);
    watch_changes(changes, &handles, wakers, watches);
    let stores = ApiGroup::ALL
        .into_iter()
        .map(|group| {
            let states = Arc::clone(&metrics.states);
            (group, watch_group(&client, group, states, wakers, watches))
        })
        .collect();

    Shared {
        recorder: Recorder::new(client.clone(), std::env::var("DLF_POD").ok()),
        writer: Writer::new(client.clone(), index),
        client,
        namespace,
        caches_namespace,
        plugins,
        nodes,
        tasks,
        pods,
        references,
        handles,
        usage_noted: Noted::default(),
        datasets_met: Noted::default(),
        internals_met: Noted::default(),
        metrics,
        namespaces,
        stores,
        lanes: Lanes::default(),
        cache_lanes: Lanes::default(),
        cache_objects,
        book: Book::default(),
        cache_news,
    }
}

fn watch_group(
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
                states.apply(group, name_of(&object), &object);
                name_of(&object)
            }
            Change::Deleted(object) => {
                states.delete(group, &name_of(&object));
                name_of(&object)
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

fn watch_owned(client: &Client, index: &OwnedIndex, all: &AllWakers, watches: &mut JoinSet<()>) {
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

fn watch_secrets(
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
                all[&group].internals.wake((namespace, name));
            }
        },
    ));
}

fn watch_caches(
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
                    wakers.caches.wake(name.clone());
                }
            }
        }));
    }
}

/// A pod that begins or ceases to use a dataset wakes it, and so does news of its cache.
fn wake_datasets(changes: Waker<Name>, all: &AllWakers, watches: &mut JoinSet<()>) {
    let all = all.clone();
    watches.spawn(async move {
        while let Some(name) = changes.next().await {
            for wakers in all.values() {
                wakers.datasets.wake(name.clone());
            }
        }
    });
}

/// What nodes and workers report wakes the dataset it is about.
fn watch_changes(
    changes: Arc<Changes>,
    handles: &Handles,
    all: &AllWakers,
    watches: &mut JoinSet<()>,
) {
    let (handles, all) = (handles.clone(), all.clone());
    watches.spawn(async move {
        loop {
            let handle = changes.next().await;
            if let Some((group, namespace, name)) = handles.get(&handle) {
                all[&group].wake(&(namespace, name));
            }
        }
    });
}
