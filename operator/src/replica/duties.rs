use std::{pin::pin, sync::Arc};

use dlf_core::api::ApiGroup;
use dlf_plugin_host::Registry;
use kube::Client;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
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

/// What the leader alone does, and with what.
pub(super) struct Duties {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) caches_namespace: String,
    pub(super) pull_secrets: Vec<String>,
    pub(super) groups: Vec<ApiGroup>,
    pub(super) plugins: watch::Receiver<Arc<Registry>>,
    pub(super) template: Option<Template>,
    pub(super) hub: Arc<Hub>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) changes: Changes,
    pub(super) pods: Arc<PodIndex>,
    pub(super) pod_changes: Waker<Name>,
    pub(super) metrics: controller::Metrics,
    /// Whether nodes and workers are served.
    pub(super) serving: watch::Sender<bool>,
}

impl Duties {
    /// Takes the duties up whenever this replica leads and lays them down when it does not, until
    /// `stop` is raised. When the configuration changes they are taken up anew, under it.
    ///
    /// Whoever stops or is configured anew still leads, and ends what it has begun. Whoever lost the
    /// Lease does not: another leads within seconds, and would find its writes undone.
    pub(super) async fn follow(
        mut self,
        mut leading: watch::Receiver<bool>,
        stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                biased;
                () = raised(stop.clone()) => break,
                led = leading.wait_for(|leads| *leads) => if led.is_err() { break },
            }
            let plugins = Arc::clone(&self.plugins.borrow_and_update());
            info!("taking up the leader's duties");
            self.serving.send_replace(true);
            let ends = ended(stop.clone(), self.plugins.clone());
            self.perform(plugins, ends, self.lost(leading.clone()))
                .await;
            info!("laid down the leader's duties");
            // Not before: a controller that still ran would tell nodes of a Dataset again.
            if !*self.serving.borrow() {
                self.hub.clear();
                self.tasks.clear();
            }
        }
        self.serving.send_replace(false);
    }

    /// Resolves when this replica leads no longer; nodes and workers are sent on to who does.
    async fn lost(&self, mut leading: watch::Receiver<bool>) {
        let _ = leading.wait_for(|leads| !*leads).await;
        self.serving.send_replace(false);
    }

    async fn perform(
        &self,
        plugins: Arc<Registry>,
        stop: impl Future<Output = ()>,
        lost: impl Future<Output = ()>,
    ) {
        let mut background = JoinSet::new();
        background.spawn(keep_authority(self.client.clone(), self.namespace.clone()));
        background.spawn(keep_plugin_certificates(
            self.client.clone(),
            self.namespace.clone(),
            plugins.isolated(),
        ));
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
        let (mut stop, mut lost) = (pin!(stop), pin!(lost));
        // What no dataset may point at is known before any dataset is: until then nodes are granted
        // nothing and workers have nothing to do. So is who uses one: until then none may go.
        let known = async { tokio::join!(rules_known, self.pods.listed()) };
        tokio::select! {
            _ = known => controller::run(self.controllers(plugins), stop, lost).await,
            () = &mut stop => {}
            () = &mut lost => {}
        }
        background.shutdown().await;
    }

    fn controllers(&self, plugins: Arc<Registry>) -> controller::Inputs {
        controller::Inputs {
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            caches_namespace: self.caches_namespace.clone(),
            pull_secrets: self.pull_secrets.clone(),
            groups: self.groups.clone(),
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

/// Resolves when this replica is to stop, or is configured anew.
async fn ended(stop: watch::Receiver<bool>, mut plugins: watch::Receiver<Arc<Registry>>) {
    tokio::select! {
        () = raised(stop) => {}
        _ = plugins.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use dlf_plugin_host::metrics;
    use dlf_wire::dataset::v1::DatasetConfig;

    use super::*;
    use crate::{certificates::Leaf, plugins::PluginConnectors, replica::measures::Measures};

    fn no_plugins() -> Arc<Registry> {
        let connectors = PluginConnectors::new(Leaf::default());
        let none = Registry::new(
            [],
            Arc::default(),
            &connectors,
            &metrics::Metrics::default(),
        );
        Arc::new(none.unwrap())
    }

    /// Duties beside an API server that answers nobody.
    fn duties(plugins: watch::Receiver<Arc<Registry>>, serving: watch::Sender<bool>) -> Duties {
        let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let changes = Changes::default();
        Duties {
            client: Client::try_from(nowhere).unwrap(),
            namespace: "dlf-system".to_owned(),
            pull_secrets: Vec::new(),
            groups: ApiGroup::ALL.to_vec(),
            caches_namespace: "dlf-caches".to_owned(),
            plugins,
            template: None,
            hub: Arc::new(Hub::new(changes.clone())),
            tasks: Arc::new(Tasks::new(changes.clone())),
            changes,
            pods: Arc::default(),
            pod_changes: Waker::default(),
            metrics: Measures::new().controllers,
            serving,
        }
    }

    #[tokio::test]
    async fn what_nodes_were_told_is_forgotten_when_the_lease_is_lost_and_not_for_a_new_configuration()
     {
        let first = no_plugins();
        let of_first = Arc::downgrade(&first);
        let plugins = watch::Sender::new(first);
        let (leading, stop) = (watch::Sender::new(true), watch::Sender::new(false));
        let serving = watch::Sender::new(false);
        let mut served = serving.subscribe();
        let duties = duties(plugins.subscribe(), serving);
        let hub = Arc::clone(&duties.hub);
        let known = || hub.read(|registry| registry.datasets().1);
        let work = tokio::spawn(duties.follow(leading.subscribe(), stop.subscribe()));
        served.wait_for(|served| *served).await.unwrap();
        let config = DatasetConfig {
            volume_handle: "dlf-books".to_owned(),
            ..DatasetConfig::default()
        };
        hub.publish(config, None);

        plugins.send_replace(no_plugins());
        while of_first.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(*served.borrow_and_update() && known() == 1);
        leading.send_replace(false);
        served.wait_for(|served| !*served).await.unwrap();
        leading.send_replace(true);
        served.wait_for(|served| *served).await.unwrap();
        assert_eq!(known(), 0);

        stop.send_replace(true);
        work.await.unwrap();
        assert!(!*served.borrow());
    }
}
