use std::{sync::Arc, time::Duration};

use dlf_core::api::ApiGroup;
use dlf_listen::{Listener, Refused};
use dlf_plugin_host::Registry;
use kube::{
    Client,
    runtime::reflector::{Store, store},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::sleep,
};
use tracing::{error, warn};

use super::{duties::Duties, shown::Shown};
use crate::{
    certificates::{Leaf, keep_leaf, server_config},
    controller, crds,
    http::{Introspection, Readiness},
    installation::Template,
    leader,
    metrics::Catalog,
    nodes::{self, Handshakes, Hub, authorise::ClusterPods, identity::Reviewer},
    pods::{self, PodIndex, SlimPod},
    settings::Settings,
    tasks::Tasks,
    waker::{Changes, Name, Waker},
    webhook::{self, Webhook, datasets},
};

/// Wait before the CRDs are tried again: the API server may start later than we do.
const CRDS_RETRY: Duration = Duration::from_secs(2);

/// What the rooms of a replica share, and how each of them is started.
pub(super) struct Replica {
    pub(super) client: Client,
    pub(super) readiness: Readiness,
    /// Replaced when the configuration changes.
    pub(super) plugins: watch::Sender<Arc<Registry>>,
    settings: Settings,
    template: Option<Template>,
    leading: watch::Sender<bool>,
    /// Whether nodes and workers are served: who leads does.
    serving: watch::Sender<bool>,
    leaf: Leaf,
    datasets: Arc<datasets::Index>,
    pods: Arc<PodIndex>,
    pod_changes: Waker<Name>,
    changes: Changes,
    hub: Arc<Hub>,
    handshakes: Arc<Handshakes>,
    tasks: Arc<Tasks>,
}

impl Replica {
    pub(super) fn new(
        client: Client,
        settings: Settings,
        plugins: Arc<Registry>,
        template: Option<Template>,
        leaf: Leaf,
    ) -> Self {
        let changes = Changes::default();
        Self {
            client,
            readiness: Readiness::default(),
            plugins: watch::Sender::new(plugins),
            settings,
            template,
            leading: watch::Sender::new(false),
            serving: watch::Sender::new(false),
            leaf,
            datasets: Arc::default(),
            pods: Arc::default(),
            pod_changes: Waker::default(),
            hub: Arc::new(Hub::new(changes.clone())),
            handshakes: Arc::default(),
            tasks: Arc::new(Tasks::new(changes.clone())),
            changes,
        }
    }

    /// Resolves once the CRDs of the groups that are served are in order.
    pub(super) async fn crds(&self) {
        let groups = &self.settings.api_groups;
        loop {
            let client = self.client.clone();
            let done = if self.settings.install_crds {
                crds::install(client, groups).await
            } else {
                crds::wait(client, groups).await
            };
            let Err(error) = done else { return };
            warn!(%error, "the CRDs are not in order yet");
            sleep(CRDS_RETRY).await;
        }
    }

    /// `/metrics`, `/livez`, `/readyz` and `/debug/state`.
    pub(super) fn introspect(
        &self,
        listener: Listener,
        refused: Vec<Refused>,
        mut catalog: Catalog,
        background: &mut JoinSet<()>,
    ) {
        let shown = Shown {
            leading: self.leading.subscribe(),
            leaf: self.leaf.clone(),
            datasets: Arc::clone(&self.datasets),
            hub: Arc::clone(&self.hub),
            handshakes: Arc::clone(&self.handshakes),
            tasks: Arc::clone(&self.tasks),
            plugins: self.plugins.subscribe(),
            refused,
        };
        shown.enter(&mut catalog);
        let router = Introspection::new(catalog, self.readiness.clone(), shown.state()).router();
        background.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                error!(%error, "metrics and health are told no longer");
            }
        });
    }

    /// What every replica keeps up to date; gives the pods that use datasets.
    pub(super) fn watch(&self, background: &mut JoinSet<()>) -> Store<SlimPod> {
        let certificate = self.readiness.gate("a certificate");
        let namespace = self.settings.namespace.clone();
        background.spawn(keep_leaf(
            self.client.clone(),
            namespace,
            self.leaf.clone(),
            move || certificate.open(),
        ));
        for &group in &self.settings.api_groups {
            let known = self.readiness.gate(match group {
                ApiGroup::Hpsys => "the Datasets of com.ie.ibm.hpsys",
                ApiGroup::Datashim => "the Datasets of datashim.io",
            });
            let index = Arc::clone(&self.datasets);
            background.spawn(datasets::watch(
                self.client.clone(),
                group,
                index,
                move || known.open(),
            ));
        }
        let (pods, writer) = store::<SlimPod>();
        let (index, changes) = (Arc::clone(&self.pods), self.pod_changes.clone());
        background.spawn(pods::watch(self.client.clone(), writer, index, changes));
        pods
    }

    pub(super) fn serve_webhooks(
        &self,
        listener: Listener,
        metrics: webhook::metrics::Metrics,
        leaving: watch::Receiver<bool>,
        stop: impl Future<Output = ()> + Send + 'static,
        servers: &mut JoinSet<()>,
    ) {
        let lookup = datasets::Lookup::new(
            self.client.clone(),
            self.settings.api_groups.clone(),
            Arc::clone(&self.datasets),
            metrics.clone(),
        );
        let router = Webhook::new(lookup, self.plugins.subscribe(), metrics).router();
        servers.spawn(webhook::serve(
            listener,
            server_config(&self.leaf, &["http/1.1"]),
            router,
            leaving,
            stop,
        ));
    }

    pub(super) fn serve_nodes(
        &self,
        listener: Listener,
        pods: Store<SlimPod>,
        stop: impl Future<Output = ()> + Send + 'static,
        servers: &mut JoinSet<()>,
    ) {
        let dependencies = nodes::Dependencies {
            hub: Arc::clone(&self.hub),
            tasks: Arc::clone(&self.tasks),
            identify: Arc::new(Reviewer::new(
                self.client.clone(),
                self.settings.namespace.clone(),
            )),
            handshakes: Arc::clone(&self.handshakes),
            pods: Arc::new(ClusterPods::new(self.client.clone(), pods)),
            tell: Arc::new(controller::Recorder::new(
                self.client.clone(),
                Some(self.settings.pod.clone()),
            )),
            leading: self.serving.subscribe(),
        };
        let tls = server_config(&self.leaf, &["h2"]);
        servers.spawn(async move {
            if let Err(error) = nodes::serve(listener, tls, dependencies, stop).await {
                error!(%error, "nodes and workers are answered no longer");
            }
        });
    }

    /// Contends for the Lease and does the leader's work while it is held. When `stop` is raised the
    /// work ends first, then the Lease is handed over.
    pub(super) fn lead(
        &self,
        metrics: controller::Metrics,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (client, settings) = (self.client.clone(), self.settings.clone());
        let duties = Duties {
            client: client.clone(),
            namespace: settings.namespace.clone(),
            caches_namespace: settings.caches_namespace.clone(),
            pull_secrets: settings.caches_image_pull_secrets.clone(),
            groups: settings.api_groups.clone(),
            plugins: self.plugins.subscribe(),
            template: self.template.clone(),
            hub: Arc::clone(&self.hub),
            tasks: Arc::clone(&self.tasks),
            changes: self.changes.clone(),
            pods: Arc::clone(&self.pods),
            pod_changes: self.pod_changes.clone(),
            metrics,
            serving: self.serving.clone(),
        };
        let (sender, receiver) = (self.leading.clone(), self.leading.subscribe());
        async move {
            let (done, ended) = oneshot::channel::<()>();
            let ended = async {
                let _ = ended.await;
            };
            let work = async move {
                duties.follow(receiver, stop).await;
                drop(done);
            };
            tokio::join!(
                leader::contend(client, settings.namespace, settings.pod, sender, ended),
                work
            );
        }
    }
}
