use std::{
    future::{Future, pending},
    pin::pin,
    sync::Arc,
};

use dlf_core::api::ApiGroup;
use dlf_plugin_host::Registry as Plugins;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client,
    api::Api,
    core::PartialObjectMeta,
    runtime::{reflector::store, watcher},
};
use tokio::{select, task::JoinSet};

use super::{
    Context, Lanes, Metrics, Noted, Shared,
    cache::{self, Book, CacheObjects, Withdrawn},
    context::Handles,
    control::control,
    dataset,
    events::Recorder,
    internal,
    owned::{OwnedIndex, Writer},
    references::SecretReferences,
    watched::{
        AllLines, Lines, wake_datasets, watch_caches, watch_changes, watch_group, watch_owned,
        watch_secrets,
    },
};
use crate::{
    nodes::Hub,
    pods::PodIndex,
    tasks::Tasks,
    waker::{Changes, Name, Waker},
    watches::{follow, stored},
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
    pub changes: Changes,
    /// Who uses what.
    pub pods: Arc<PodIndex>,
    /// Datasets whose users changed.
    pub pod_changes: Waker<Name>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Runs the controllers of both kinds in both groups until `stop` resolves; what is being written
/// then is written to its end.
pub async fn run(parts: Parts, stop: impl Future<Output = ()>) {
    let lines: AllLines = ApiGroup::ALL
        .into_iter()
        .map(|group| (group, Lines::new(&parts.metrics)))
        .collect();
    let mut watches = JoinSet::new();
    let shared = Arc::new(start_watches(parts, &lines, &mut watches));
    let mut stop = pin!(stop);
    let stopped = select! {
        () = all_known(&shared) => false,
        () = &mut stop => true,
    };
    if !stopped {
        let mut controllers = start_controllers(&shared, &lines);
        stop.await;
        lines.values().for_each(Lines::close);
        while controllers.join_next().await.is_some() {}
    }
    watches.shutdown().await;
    lines.values().for_each(Lines::forget);
    shared.metrics.states.clear();
}

/// Waits until all objects of both kinds and groups are known: what a DatasetInternal leads to is kept by
/// whoever reconciles its Dataset, and one that is not known yet leads nowhere. A store wakes the last of
/// those who wait for it, so nobody else may.
async fn all_known(shared: &Shared) {
    for stores in shared.stores.values() {
        let datasets = stores.datasets.wait_until_ready().await;
        let internals = stores.internals.wait_until_ready().await;
        if datasets.is_err() || internals.is_err() {
            // Their watches have ended: nothing will be known any more.
            pending::<()>().await;
        }
    }
}

fn start_controllers(shared: &Arc<Shared>, lines: &AllLines) -> JoinSet<()> {
    let mut controllers = JoinSet::new();
    for (group, lines) in lines {
        let stores = &shared.stores[group];
        let context = Arc::new(Context {
            group: *group,
            shared: Arc::clone(shared),
        });
        controllers.spawn(control(
            stores.datasets.clone(),
            Arc::clone(&lines.datasets),
            Arc::clone(&context),
            dataset::reconcile,
        ));
        controllers.spawn(control(
            stores.internals.clone(),
            Arc::clone(&lines.internals),
            Arc::clone(&context),
            internal::reconcile,
        ));
        controllers.spawn(control(
            stores.datasets.clone(),
            Arc::clone(&lines.caches),
            context,
            cache::reconcile,
        ));
    }
    controllers
}

/// Starts every watch and makes what the controllers share.
fn start_watches(parts: Parts, lines: &AllLines, watches: &mut JoinSet<()>) -> Shared {
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

    watch_owned(&client, &index, lines, watches);
    watch_secrets(&client, &references, lines, watches);
    let cache_objects = CacheObjects::default();
    watch_caches(&client, &caches_namespace, &cache_objects, lines, watches);
    let cache_news = Waker::default();
    wake_datasets(pod_changes, lines, watches);
    wake_datasets(cache_news.clone(), lines, watches);
    watch_changes(changes, &handles, lines, watches);
    let stores = ApiGroup::ALL
        .into_iter()
        .map(|group| {
            let states = Arc::clone(&metrics.states);
            (group, watch_group(&client, group, states, lines, watches))
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
        withdrawn: Withdrawn::default(),
        cache_news,
    }
}
