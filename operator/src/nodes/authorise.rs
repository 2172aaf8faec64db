//! Whether a pod may mount a dataset on a node, and how: the kubelet's word, carried by the node
//! driver, is checked against what the API server knows of the pod.

mod denial;

use std::time::Duration;

use async_trait::async_trait;
use dlf_core::labels;
use dlf_wire::dataset::v1::DatasetConfig;
use dlf_wire::nodes::v1::PodRef;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use denial::Denial;

use super::registry::Share;
use crate::pods::SlimPod;

/// One look-up by key; the API server answers within milliseconds or not at all.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Look-ups under way at once: enough for a burst of pods that use a claim without our labels, and
/// a bound on what they cost the API server.
const LOOKUPS_MAX: usize = 32;

/// Pods asked to speak for a mount; the first one that exists is enough.
const VOUCHERS_MAX: usize = 8;

/// Where pods are found.
#[async_trait]
pub trait FindPod: Send + Sync {
    /// The pod as last seen, if it was seen at all. Costs nothing.
    fn cached(&self, namespace: &str, name: &str) -> Option<SlimPod>;

    /// The pod as it is now.
    async fn live(&self, namespace: &str, name: &str) -> Result<Option<SlimPod>, String>;
}

/// The pods the operator watches (those that the webhook labelled), else the API server.
pub struct ClusterPods {
    client: Client,
    store: Store<SlimPod>,
    permits: Semaphore,
}

impl ClusterPods {
    /// Pods from `store`, and through `client` what is not there.
    #[must_use]
    pub fn new(client: Client, store: Store<SlimPod>) -> Self {
        Self {
            client,
            store,
            permits: Semaphore::new(LOOKUPS_MAX),
        }
    }
}

#[async_trait]
impl FindPod for ClusterPods {
    fn cached(&self, namespace: &str, name: &str) -> Option<SlimPod> {
        let found = self.store.get(&ObjectRef::new(name).within(namespace));
        found.map(|pod| pod.as_ref().clone())
    }

    async fn live(&self, namespace: &str, name: &str) -> Result<Option<SlimPod>, String> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let pods = Api::<SlimPod>::namespaced(self.client.clone(), namespace);
        match timeout(LOOKUP_TIMEOUT, pods.get_opt(name)).await {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs())),
        }
    }
}

/// Whether `pod` may mount `config` on `node`, and which part of it it sees. What is cached is
/// enough for a yes; a no is checked against the API server.
pub async fn share(
    pods: &dyn FindPod,
    node: &str,
    config: &DatasetConfig,
    pod: &PodRef,
) -> Result<Share, Denial> {
    if let Some(found) = pods.cached(&pod.namespace, &pod.name)
        && let Ok(share) = judge(&found, node, config, pod)
    {
        return Ok(share);
    }
    match pods.live(&pod.namespace, &pod.name).await {
        Ok(Some(found)) => judge(&found, node, config, pod),
        Ok(None) => Err(no_such_pod(pod)),
        Err(error) => Err(Denial::Lookup {
            pod: full_name(pod),
            error,
        }),
    }
}

/// Whether any of `named` uses `config` on `node`.
pub async fn vouched(
    pods: &dyn FindPod,
    node: &str,
    config: &DatasetConfig,
    named: &[PodRef],
) -> bool {
    let seen = |pod: &&PodRef| pods.cached(&pod.namespace, &pod.name).is_some();
    let (seen, unseen): (Vec<_>, Vec<_>) = named.iter().partition(seen);
    for pod in seen.into_iter().chain(unseen).take(VOUCHERS_MAX) {
        if share(pods, node, config, pod).await.is_ok() {
            return true;
        }
    }
    false
}

fn judge(
    found: &SlimPod,
    node: &str,
    config: &DatasetConfig,
    pod: &PodRef,
) -> Result<Share, Denial> {
    if found.metadata.uid.as_deref() != Some(&pod.uid) {
        return Err(no_such_pod(pod));
    }
    if found.spec.node_name.as_deref() != Some(node) {
        return Err(Denial::NotHere {
            pod: full_name(pod),
            node: node.to_owned(),
        });
    }
    let claims = found.claims().any(|claim| claim == config.name);
    if pod.namespace != config.namespace || !claims {
        let (namespace, claim) = (config.namespace.clone(), config.name.clone());
        return Err(Denial::NotMounted {
            pod: full_name(pod),
            namespace,
            claim,
        });
    }
    let labels = found.metadata.labels.clone().unwrap_or_default();
    let annotations = found.metadata.annotations.clone().unwrap_or_default();
    let asked = labels::parse(&labels, &annotations).map_err(|errors| Denial::Labels {
        pod: full_name(pod),
        error: errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    })?;
    // A pod that mounts the claim by itself, without a label, sees all of it.
    let used = asked.into_iter().find(|used| used.id == config.name);
    Ok(used.map_or_else(Share::default, |used| Share {
        subpath: used.subpath.unwrap_or_default(),
        readonly: used.readonly,
    }))
}

fn no_such_pod(pod: &PodRef) -> Denial {
    let PodRef {
        namespace,
        name,
        uid,
    } = pod.clone();
    Denial::NoSuchPod {
        namespace,
        name,
        uid,
    }
}

fn full_name(pod: &PodRef) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

#[cfg(test)]
mod tests;
