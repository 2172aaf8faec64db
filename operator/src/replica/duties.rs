use std::{sync::Arc, time::Duration};

use dlf_plugin_host::Registry;
use kube::Client;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::sleep,
};
use tracing::info;

use super::raised;
use crate::{
    certificates::{keep_authority, keep_plugin_certificates},
    controller,
    installation::{Template, forget_gone_nodes, keep_mounters, keep_network_rules},
    nodes::Hub,
    pods::PodIndex,
    tasks::Tasks,
    waker::{Changes, Name, Waker},
};

/// How often plugins are looked at that were not met yet.
const PLUGINS_INTERVAL: Duration = Duration::from_secs(10);

/// What the leader alone does, and with what.
pub(super) struct Duties {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) caches_namespace: String,
    pub(super) plugins: watch::Receiver<Arc<Registry>>,
    pub(super) template: Option<Template>,
    pub(super) hub: Arc<Hub>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) changes: Changes,
    pub(super) pods: Arc<PodIndex>,
    pub(super) pod_changes: Waker<Name>,
    pub(super) metrics: controller::Metrics,
}

impl Duties {
    /// Takes the duties up whenever this replica leads and lays them down when it does not, until
    /// `stop` is raised. When the configuration changes they are taken up anew, under it.
    pub(super) async fn follow(
        mut self,
        mut leading: watch::Receiver<bool>,
        stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                biased;
                () = raised(stop.clone()) => return,
                led = leading.wait_for(|leads| *leads) => if led.is_err() { return },
            }
            let plugins = Arc::clone(&self.plugins.borrow_and_update());
            info!("taking up the leader's duties");
            self.perform(
                plugins,
                lost(leading.clone(), stop.clone(), self.plugins.clone()),
            )
            .await;
            info!("laid down the leader's duties");
        }
    }

    async fn perform(&self, plugins: Arc<Registry>, stop: impl Future<Output = ()>) {
        let mut background = JoinSet::new();
        background.spawn(keep_authority(self.client.clone(), self.namespace.clone()));
        background.spawn(keep_plugin_certificates(
            self.client.clone(),
            self.namespace.clone(),
            plugins.isolated(),
        ));
        background.spawn(look_at(Arc::clone(&plugins)));
        let network = plugins.config().network.clone();
        let (known, rules_known) = oneshot::channel();
        background.spawn(keep_network_rules(
            self.client.clone(),
            network,
            Arc::clone(&self.hub),
            known,
        ));
        background.spawn(forget_gone_nodes(
            self.client.clone(),
            Arc::clone(&self.hub),
        ));
        if let Some(template) = self.template.clone() {
            let (client, namespace) = (self.client.clone(), self.namespace.clone());
            background.spawn(keep_mounters(
                client,
                namespace,
                template,
                Arc::clone(&self.hub),
            ));
        }
        let mut stop = std::pin::pin!(stop);
        // What no dataset may point at is known before any dataset is: until then nodes are granted
        // nothing and workers have nothing to do. So is who uses one: until then none may go.
        let known = async { tokio::join!(rules_known, self.pods.listed()) };
        tokio::select! {
            _ = known => controller::run(self.controllers(plugins), stop).await,
            () = &mut stop => {}
        }
        background.shutdown().await;
    }

    fn controllers(&self, plugins: Arc<Registry>) -> controller::Parts {
        controller::Parts {
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            caches_namespace: self.caches_namespace.clone(),
            plugins,
            nodes: Arc::clone(&self.hub),
            tasks: Arc::clone(&self.tasks),
            changes: self.changes.clone(),
            pods: Arc::clone(&self.pods),
            pod_changes: self.pod_changes.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// Meets plugins that nobody has asked yet, so that what is wrong with one is known before a dataset
/// needs it.
async fn look_at(plugins: Arc<Registry>) {
    loop {
        for plugin in plugins.plugins() {
            plugin.look().await;
        }
        sleep(PLUGINS_INTERVAL).await;
    }
}

/// Resolves when this replica leads no longer, is to stop, or is configured anew.
async fn lost(
    mut leading: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
    mut plugins: watch::Receiver<Arc<Registry>>,
) {
    tokio::select! {
        _ = leading.wait_for(|leads| !*leads) => {}
        () = raised(stop) => {}
        _ = plugins.changed() => {}
    }
}
