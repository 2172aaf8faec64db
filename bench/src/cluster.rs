//! The test cluster with DLF on it.

use std::{fs, net::IpAddr, process::Command, thread};

use dlf_tests::settings;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::{
    Outcome,
    metrics::Scrape,
    namespace::{has, until},
};

pub(crate) const NAMESPACE: &str = "dlf-system";
const BUCKET: &str = "bench";

/// A replica of the operator.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) pod_uid: String,
    pub(crate) address: IpAddr,
}

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) replicas: Vec<Replica>,
    /// PEM of the authority behind the webhooks.
    pub(crate) authority: String,
}

impl Cluster {
    /// The cluster that `make cluster` described.
    pub(crate) async fn connect() -> Outcome<Self> {
        let kubeconfig = settings().find("KUBECONFIG");
        let kubeconfig =
            kubeconfig.ok_or("no cluster is described (make cluster, make install)")?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let replicas = replicas(&client).await?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let authority = maps.get("dlf-ca").await?.data.unwrap_or_default();
        let authority = authority
            .get("ca.crt")
            .ok_or("no ca.crt in ConfigMap dlf-ca")?;
        Ok(Self {
            client,
            replicas,
            authority: authority.clone(),
        })
    }

    /// The replica that leads.
    pub(crate) async fn leader(&self) -> Outcome<(Replica, Scrape)> {
        for replica in &self.replicas {
            let scrape = Scrape::of(replica.address).await?;
            if scrape.sum("dlf_leader", "") > 0.0 {
                return Ok((replica.clone(), scrape));
            }
        }
        Err("no replica of the operator leads".into())
    }

    /// What every replica counts.
    pub(crate) async fn scrapes(&self) -> Outcome<Vec<Scrape>> {
        let addresses = self.replicas.iter().map(|replica| replica.address);
        try_join_all(addresses.map(Scrape::of)).await
    }

    /// On what the figures were taken.
    pub(crate) async fn conditions(&self) -> Outcome<String> {
        let version = self.client.apiserver_version().await?.git_version;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let commit = Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .output()?
            .stdout;
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        Ok(format!(
            "commit {}, Kubernetes {version} (everything on this machine: {} processors, Linux {}), {} replicas, load {load}",
            String::from_utf8_lossy(&commit).trim(),
            thread::available_parallelism()?,
            kernel.trim(),
            self.replicas.len(),
        ))
    }

    pub(crate) fn datasets(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("com.ie.ibm.hpsys", "v1alpha1", "Dataset");
        let resource = ApiResource::from_gvk_with_plural(&kind, "datasets");
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Has DLF make the bucket that the Datasets of a measurement share, from a namespace of theirs.
    pub(crate) async fn bucket(&self, space: &str) -> Outcome<()> {
        let (api, name) = (self.datasets(space), "makes-bucket");
        let dataset = dataset(name, &json!({ "provision": "true" }))?;
        api.create(&PostParams::default(), &dataset).await?;
        until("the bucket", async || {
            Ok(has(&api.get(name).await?, "SourceReachable", "True"))
        })
        .await?;
        api.delete(name, &DeleteParams::default()).await?;
        until("its Dataset to go", async || {
            Ok(api.get_opt(name).await?.is_none())
        })
        .await
    }
}

/// A Dataset of the bucket that measurements share, with `more` keys of `spec.local`.
pub(crate) fn dataset(name: &str, more: &Value) -> Outcome<DynamicObject> {
    let mut local = json!({
        "type": "COS",
        "endpoint": settings().get("S3_ENDPOINT"),
        "bucket": BUCKET,
        "accessKeyID": settings().get("S3_KEY"),
        "secretAccessKey": settings().get("S3_SECRET"),
    });
    if let (Some(local), Some(more)) = (local.as_object_mut(), more.as_object()) {
        local.extend(more.clone());
    }
    Ok(serde_json::from_value(json!({
        "apiVersion": "com.ie.ibm.hpsys/v1alpha1",
        "kind": "Dataset",
        "metadata": { "name": name },
        "spec": { "local": local },
    }))?)
}

async fn replicas(client: &Client) -> Outcome<Vec<Replica>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let selected = ListParams::default().labels("app.kubernetes.io/component=operator");
    let mut replicas = Vec::new();
    for pod in pods.list(&selected).await? {
        if pod.metadata.deletion_timestamp.is_some() {
            continue; // of the installation before
        }
        let pod_uid = pod.uid().unwrap_or_default();
        let address = pod.status.and_then(|status| status.pod_ip);
        if let Some(address) = address {
            replicas.push(Replica {
                pod_uid,
                address: address.parse()?,
            });
        }
    }
    if replicas.is_empty() {
        return Err("no replica of the operator runs (make install)".into());
    }
    Ok(replicas)
}
