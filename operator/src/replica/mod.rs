//! One replica of the operator: what it starts, in which order, and how it stops.
//!
//! Every replica answers webhooks; the leader alone writes. A replica is ready when it can answer:
//! it knows the Datasets and has a certificate, for which there has to be a leader, but not here.

mod configuration;
mod duties;
mod measures;
mod shown;
mod start;

use std::{io, net::SocketAddr, time::Duration};

use dlf_listen::{Limits, Listener, OF_HEALTH, Refused};
use dlf_plugin_host::{BuiltIn, ConfigError, RegistryError};
use thiserror::Error;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use self::{configuration::Configuration, measures::Measures, start::Replica};
use crate::{
    certificates::Leaf,
    installation::{Template, TemplateError},
    memory::keep_trimmed,
    nodes,
    plugins::PluginConnectors,
    settings::Settings,
    webhook,
};

/// A replica that ends stays in the Service for as long as it takes every kube-proxy to notice.
const LEAVE_SERVICE: Duration = Duration::from_secs(4);
/// For the leader to finish what it is writing and hand the Lease over.
const HAND_OVER_DEADLINE: Duration = Duration::from_secs(10);
/// For servers to finish what they answer.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a replica does not start.
#[derive(Debug, Error)]
pub enum ReplicaError {
    /// The configuration file does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Plugins and configuration do not fit together.
    #[error(transparent)]
    Plugins(#[from] RegistryError),
    /// The mounter's template does not fit.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// There is no way to the API server.
    #[error("no way to the API server: {0}")]
    Client(#[from] kube::Error),
    /// A port is taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Runs a replica with these built-in plugins until `stop` resolves.
pub async fn run(
    settings: Settings,
    built_in: Vec<BuiltIn>,
    stop: impl Future<Output = ()>,
) -> Result<(), ReplicaError> {
    let measures = Measures::new();
    let leaf = Leaf::default();
    let configuration = Configuration {
        path: settings.config.clone(),
        built_in,
        connectors: PluginConnectors::new(leaf.clone()),
        metrics: measures.plugins.clone(),
    };
    let plugins = configuration.load()?;
    let mounter = settings
        .mounter_template
        .as_deref()
        .map(Template::read)
        .transpose()?;
    let listeners = Listeners::open(&settings).await?;
    let client = measures.requests.client().await?;
    let replica = Replica::new(client, settings, plugins, mounter, leaf);
    follow(&replica, measures, configuration, listeners, stop).await;
    Ok(())
}

/// The ports of a replica, opened before anything else: a taken one is told at once.
struct Listeners {
    http: Listener,
    webhook: Listener,
    nodes: Listener,
}

impl Listeners {
    async fn open(settings: &Settings) -> Result<Self, ReplicaError> {
        let listen = async |address: SocketAddr, limits: Limits| {
            let listener = Listener::bind(address, limits).await;
            listener.map_err(|source| ReplicaError::Listen { address, source })
        };
        Ok(Self {
            http: listen(settings.http_listen, OF_HEALTH).await?,
            webhook: listen(settings.webhook_listen, webhook::CONNECTIONS_MAX).await?,
            nodes: listen(settings.nodes_listen, nodes::CONNECTIONS_MAX).await?,
        })
    }

    fn refused(&self) -> Vec<Refused> {
        [&self.http, &self.webhook, &self.nodes]
            .map(Listener::refused)
            .into()
    }
}

async fn follow(
    replica: &Replica,
    measures: Measures,
    configuration: Configuration,
    listeners: Listeners,
    stop: impl Future<Output = ()>,
) {
    let Measures {
        catalog,
        webhooks,
        controllers,
        requests: _,
        plugins: _,
    } = measures;
    let staying = replica.readiness.gate("its end");
    let crds = replica.readiness.gate("the CRDs");
    staying.open();
    let mut background = JoinSet::new();
    let refused = listeners.refused();
    replica.introspect(listeners.http, refused, catalog, &mut background);
    background.spawn(configuration.follow(replica.plugins.clone()));
    background.spawn(keep_trimmed());

    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        () = replica.crds() => crds.open(),
        () = &mut stop => return,
    }
    let (hand_over, handing_over) = watch::channel(false);
    let (close, closing) = watch::channel(false);
    let pods = replica.watch(&mut background);
    let mut servers = JoinSet::new();
    replica.serve_webhooks(
        listeners.webhook,
        webhooks,
        handing_over.clone(),
        raised(closing.clone()),
        &mut servers,
    );
    replica.serve_nodes(listeners.nodes, pods, raised(closing), &mut servers);
    let leader = tokio::spawn(replica.lead(controllers, handing_over));
    stop.await;

    info!("stopping");
    staying.close();
    hand_over.send_replace(true);
    let leave = async {
        sleep(LEAVE_SERVICE).await;
        close.send_replace(true);
        timeout(CLOSE_DEADLINE, async {
            while servers.join_next().await.is_some() {}
        })
        .await
        .is_ok()
    };
    let (closed, handed_over) = tokio::join!(leave, timeout(HAND_OVER_DEADLINE, leader));
    if !closed || handed_over.is_err() {
        warn!("some work was cut off");
    }
    background.shutdown().await;
}

/// Resolves when the flag is raised, or can be raised no longer.
async fn raised(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|raised| *raised).await;
}
