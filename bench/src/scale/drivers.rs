//! Node drivers that mount nothing: a stream to the leader for each node that kwok plays, with a
//! token of the driver's pod there, and a question for each pod of the measurement.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use dlf_wire::{
    dataset::v1::DatasetConfig,
    dial::{DialError, Dialer},
    nodes::v1::{
        Applied, FromNode, Held, Need, NodeHello, PodRef, ToNode, from_node::Message as Up,
        to_node::Message as Down,
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Pod, ServiceAccount},
};
use kube::{Api, ResourceExt, api::ListParams, api::PostParams};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{
    Outcome,
    cluster::{Cluster, NAMESPACE},
    namespace::until,
};

/// Streams that are opened at once.
const CONCURRENCY: usize = 32;
const PORT: u16 = 9444;
const SERVER_NAME: &str = "dlf-nodes.dlf-system.svc";

/// A volume that a pod mounts.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(crate) volume_handle: String,
    pub(crate) pod: PodRef,
}

/// Versions by node and volume handle.
type Versions = Arc<Mutex<HashMap<(String, String), u64>>>;

/// All of them, attached.
pub(crate) struct Drivers {
    versions: Versions,
    // Dropped, the streams end.
    _streams: JoinSet<()>,
}

impl Drivers {
    /// Attaches one for each node, says that it `holds` its mounts or asks for them, and gives the
    /// time until every node was welcomed, and until every question was answered.
    pub(crate) async fn attach(
        cluster: &Cluster,
        mounts: &BTreeMap<String, Vec<Mount>>,
        holds: bool,
    ) -> Outcome<(Self, [std::time::Duration; 2])> {
        let (leader, _) = cluster.leader().await?;
        let files = tempfile::tempdir()?;
        let ca = files.path().join("ca.crt");
        fs::write(&ca, &cluster.authority)?;
        let tokens = tokens(cluster, mounts.keys(), files.path()).await?;
        let operator = format!("{}:{PORT}", leader.address);
        let (versions, mut streams) = (Versions::default(), JoinSet::new());
        let began = Instant::now();
        let mut opened = stream::iter(tokens)
            .map(|(node, token)| {
                let (operator, ca) = (operator.clone(), ca.clone());
                async move {
                    let dialer = Dialer::new(&operator, ca, token)?.server_name(SERVER_NAME);
                    let mounted = if holds { mounts[&node].as_slice() } else { &[] };
                    open(&dialer, &node, mounted)
                        .await
                        .map(|stream| (node, stream))
                }
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((node, (up, down))) = opened.try_next().await? {
            let asks = if holds {
                Vec::new()
            } else {
                mounts[&node].clone()
            };
            streams.spawn(follow(node, asks, up, down, Arc::clone(&versions)));
        }
        drop(opened);
        let welcomed = began.elapsed();
        let drivers = Self {
            versions,
            _streams: streams,
        };
        let all: usize = mounts.values().map(Vec::len).sum();
        if !holds {
            until("all mounts to be granted", async || {
                Ok(drivers.count(0) == all)
            })
            .await?;
        }
        Ok((drivers, [welcomed, began.elapsed()]))
    }

    /// Mounts whose version is newer than `version`, in milliseconds since 1970.
    pub(crate) fn count(&self, version: u64) -> usize {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions
            .values()
            .filter(|applied| **applied > version)
            .count()
    }

    /// The newest version that any of them was told.
    pub(crate) fn newest(&self) -> u64 {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.values().copied().max().unwrap_or_default()
    }
}

/// A token of the driver's pod on each of these nodes, in files.
async fn tokens(
    cluster: &Cluster,
    nodes: impl Iterator<Item = &String>,
    files: &Path,
) -> Outcome<Vec<(String, std::path::PathBuf)>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let selected = ListParams::default().labels("app.kubernetes.io/component=csi");
    let on_node: HashMap<String, Pod> = pods
        .list(&selected)
        .await?
        .into_iter()
        .filter_map(|pod| Some((pod.spec.as_ref()?.node_name.clone()?, pod)))
        .collect();
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    stream::iter(nodes)
        .map(|node| {
            let (accounts, pod) = (accounts.clone(), on_node.get(node));
            async move {
                let pod = pod.ok_or_else(|| format!("no driver's pod on node {node}"))?;
                let request: TokenRequest = serde_json::from_value(json!({
                    "metadata": {},
                    "spec": {
                        "audiences": ["dlf-operator"],
                        "expirationSeconds": 3600,
                        "boundObjectRef": {
                            "apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": pod.uid(),
                        },
                    },
                }))?;
                let made = accounts
                    .create_token_request("dlf-csi", &PostParams::default(), &request)
                    .await?;
                let file = files.join(node);
                let token = made.status.map(|status| status.token);
                fs::write(&file, token.unwrap_or_default())?;
                Outcome::Ok((node.clone(), file))
            }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

type Stream = (mpsc::Sender<FromNode>, Streaming<ToNode>);

async fn open(dialer: &Dialer, node: &str, mounted: &[Mount]) -> Outcome<Stream> {
    let token = dialer.token().await?;
    let held = mounted.iter().map(|mount| Held {
        volume_handle: mount.volume_handle.clone(),
        version: 1,
        pods: vec![mount.pod.clone()],
    });
    let hello = NodeHello {
        node: node.to_owned(),
        token: Some(token),
        driver_version: "bench".to_owned(),
        held: held.collect(),
        mounters: Vec::new(),
    };
    let opened = dialer
        .open(|mut client| {
            let hello = Up::Hello(hello.clone());
            async move {
                // Room for all that a driver has to say at once: nothing waits.
                let (up, queue) = mpsc::channel(1024);
                let queued = up.try_send(message(hello));
                queued.map_err(|error| Status::internal(error.to_string()))?;
                let stream = client.attach(ReceiverStream::new(queue)).await?;
                let mut down = stream.into_inner();
                down.message().await?; // the welcome
                Ok((up, down))
            }
        })
        .await;
    opened.map_err(|error: DialError| format!("node {node}: {error}").into())
}

const fn message(message: Up) -> FromNode {
    FromNode {
        message: Some(message),
    }
}

/// Asks, and acknowledges what it is told, until the stream ends.
async fn follow(
    node: String,
    asks: Vec<Mount>,
    up: mpsc::Sender<FromNode>,
    mut down: Streaming<ToNode>,
    versions: Versions,
) {
    for (request, mount) in (0..).zip(asks) {
        let need = Need {
            request,
            volume_handle: mount.volume_handle,
            pod: Some(mount.pod),
        };
        if up.send(message(Up::Need(need))).await.is_err() {
            return;
        }
    }
    while let Ok(Some(received)) = down.message().await {
        let config: DatasetConfig = match received.message {
            Some(Down::Grant(grant)) => grant.dataset.unwrap_or_default(),
            Some(Down::Dataset(config)) => config,
            Some(Down::Refusal(refusal)) => {
                eprintln!("node {node}: {:?}", refusal.failure);
                continue;
            }
            _ => continue,
        };
        let applied = Applied {
            volume_handle: config.volume_handle.clone(),
            version: config.version,
            failure: None,
        };
        let key = (node.clone(), config.volume_handle);
        versions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, config.version);
        if up.send(message(Up::Applied(applied))).await.is_err() {
            return;
        }
    }
}
