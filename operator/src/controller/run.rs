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
use tracing::warn;

use super::{
    Context, KeyedLock, Metrics, Shared, Stopwatches,
    cache::{self, CacheObjects, CacheStates, Withdrawn},
    context::{Handles, references::SecretReferences},
    dataset,
    events::Recorder,
    owned::{OwnedIndex, Writer},
    plans::Plans,
    plugins::look_after,
    queue::control,
    usage,
    watched::{
        AllQueues, Queues, watch_caches, watch_changes, watch_findings, watch_group, watch_owned,
        watch_pods, watch_secrets,
    },
};
use crate::{
    nodes::Hub,
    pods::PodIndex,
    tasks::Tasks,
    waker::{Changes, Name, Waker},
    watches::{follow, stored},
};

/// Reconciles at once per kind and group: enough to hide the API server's latency, few enough to
/// leave it to others.
const CONCURRENCY: u16 = 32;
/// News of use comes for thousands at once, and is in no hurry.
const CONCURRENCY_OF_USAGE: u16 = 8;

/// What the controllers are given.
pub struct Inputs {
    /// The API server.
    pub client: Client,
    /// The operator's own namespace.
    pub namespace: String,
    /// The namespace of caches.
    pub caches_namespace: String,
    /// Secrets in it for pulling the images of caches.
    pub pull_secrets: Vec<String>,
    /// The API groups that are served.
    pub groups: Vec<ApiGroup>,
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

/// Runs the controllers of each group that is served until `stop` resolves; what is being written then is
/// written to its end. Once the lease is `lost` another replica may write any moment, and
/// nothing is.
pub async fn run(inputs: Inputs, stop: impl Future<Output = ()>, lost: impl Future<Output = ()>) {
    let queues: AllQueues = inputs
        .groups
        .iter()
        .map(|group| (*group, Queues::new(&inputs.metrics)))
        .collect();
    let mut watches = JoinSet::new();
    let shared = Arc::new(start_watches(inputs, &queues, &mut watches));
    watches.spawn(look_after(Arc::clone(&shared), queues.clone()));
    let (mut stop, mut lost) = (pin!(stop), pin!(lost));
    let begins = select! {
        () = all_known(&shared) => true,
        () = &mut stop => false,
        () = &mut lost => false,
    };
    if begins {
        let controllers = start_controllers(&shared, &queues);
        let close = || queues.values().for_each(Queues::close);
        until_ended(controllers, stop, close, lost).await;
    }
    watches.shutdown().await;
    queues.values().for_each(Queues::clear);
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

/// Lets controllers work until `stop`, and then, once they are told to `close`, finish what they have
/// begun. At `lost` they are cut off, whatever they are at: when this returns, none of them runs.
async fn until_ended(
    mut controllers: JoinSet<()>,
    stop: impl Future<Output = ()>,
    close: impl FnOnce(),
    lost: impl Future<Output = ()>,
) {
    let drained = async {
        stop.await;
        close();
        while controllers.join_next().await.is_some() {}
    };
    select! {
        biased;
        () = lost => {}
        () = drained => return,
    }
    warn!("the lease was lost: what the controllers have begun is cut off");
    controllers.shutdown().await;
}

fn start_controllers(shared: &Arc<Shared>, all: &AllQueues) -> JoinSet<()> {
    let mut controllers = JoinSet::new();
    for (group, queues) in all {
        let stores = &shared.stores[group];
        let context = Arc::new(Context {
            group: *group,
            shared: Arc::clone(shared),
        });
        controllers.spawn(control(
            stores.datasets.clone(),
            Arc::clone(&queues.datasets),
            CONCURRENCY,
            Arc::clone(&context),
            dataset::reconcile,
        ));
        controllers.spawn(control(
            stores.datasets.clone(),
            Arc::clone(&queues.caches),
            CONCURRENCY,
            Arc::clone(&context),
            cache::reconcile,
        ));
        controllers.spawn(control(
            stores.datasets.clone(),
            Arc::clone(&queues.usage),
            CONCURRENCY_OF_USAGE,
            context,
            usage::reconcile,
        ));
    }
    controllers
}

/// Starts every watch and makes what the controllers share.
fn start_watches(inputs: Inputs, queues: &AllQueues, watches: &mut JoinSet<()>) -> Shared {
    let Inputs {
        client,
        namespace,
        caches_namespace,
        pull_secrets,
        groups,
        plugins,
        nodes,
        tasks,
        changes,
        pods,
        pod_changes,
        metrics,
    } = inputs;
    let index = OwnedIndex::new(&namespace);
    let references = SecretReferences::default();
    let handles = Handles::default();

    let (namespaces, namespace_writer) = store::<PartialObjectMeta<Namespace>>();
    let namespace_watch = stored(
        Api::all(client.clone()),
        watcher::Config::default(),
        namespace_writer,
    );
    watches.spawn(follow(namespace_watch, |_| {}));

    watch_owned(&client, &index, queues, watches);
    watch_secrets(&client, &references, queues, watches);
    let cache_objects = CacheObjects::default();
    watch_caches(&client, &caches_namespace, &cache_objects, queues, watches);
    let findings = Waker::default();
    watch_findings(findings.clone(), queues, watches);
    watch_pods(pod_changes, queues, watches);
    watch_changes(changes, &handles, queues, watches);
    let stores = groups
        .into_iter()
        .map(|group| {
            let states = Arc::clone(&metrics.states);
            (group, watch_group(&client, group, states, queues, watches))
        })
        .collect();

    Shared {
        recorder: Recorder::new(client.clone(), std::env::var("DLF_POD").ok()),
        writer: Writer::new(client.clone(), index),
        client,
        namespace,
        caches_namespace,
        pull_secrets,
        plugins,
        nodes,
        tasks,
        pods,
        references,
        handles,
        usage_written: Stopwatches::default(),
        refusals_seen: Stopwatches::default(),
        unsettled: Stopwatches::default(),
        metrics,
        namespaces,
        stores,
        dataset_locks: KeyedLock::default(),
        cache_locks: KeyedLock::default(),
        cache_objects,
        cache_states: CacheStates::default(),
        withdrawn: Withdrawn::default(),
        plans: Plans::new(findings.clone()),
        findings,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use tokio::time::{Instant, sleep};

    use super::*;

    /// How long what a controller has begun takes to its end.
    const REST: Duration = Duration::from_mins(1);

    /// A controller amid a write; and whether it has written.
    fn writing() -> (JoinSet<()>, Arc<AtomicBool>) {
        let (mut controllers, written) = (JoinSet::new(), Arc::<AtomicBool>::default());
        let write = Arc::clone(&written);
        controllers.spawn(async move {
            sleep(REST).await;
            write.store(true, Ordering::Relaxed);
        });
        (controllers, written)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_being_written_is_written_to_its_end_when_the_lease_is_handed_over() {
        let (controllers, written) = writing();
        let mut closed = false;
        until_ended(controllers, ready(()), || closed = true, pending()).await;
        assert!(closed && written.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_once_the_lease_is_lost() {
        let (controllers, written) = writing();
        let began = Instant::now();
        until_ended(controllers, pending(), || {}, ready(())).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        // Nobody but the controller has the other one.
        assert_eq!(Arc::strong_count(&written), 1, "it has gone");
        assert!(!written.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_lost_while_work_ends_cuts_it_off() {
        let (controllers, written) = writing();
        until_ended(controllers, ready(()), || {}, sleep(REST / 2)).await;
        assert_eq!(Arc::strong_count(&written), 1, "it has gone");
        assert!(!written.load(Ordering::Relaxed));
    }
}
