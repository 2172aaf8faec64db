//! Twenty thousand Datasets and as many pods on nodes that kwok plays: what the control plane costs,
//! at work, idle, and when all its replicas start anew.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    Outcome,
    cluster::{Cluster, NAMESPACE},
    figures::{mebibytes, rate},
    idle,
    metrics::Scrape,
    namespace::{claims, create, has, until, within},
    process::Processes,
};

const SPACE: &str = "bench-scale";
const NODES: usize = 200;
const SELECTED: &str = "dlf.dev/bench=scale";

/// Measures with `count` Datasets and `count` pods.
pub(crate) async fn measure(cluster: &Cluster, count: usize) -> Outcome<()> {
    println!(
        "\n{count} Datasets (COS, keys of one Secret) and {count} pods with one each, on {NODES} nodes played by kwok, in one namespace"
    );
    nodes(cluster).await?;
    let measured = within(&cluster.client, SPACE, async || {
        datasets(cluster, count).await?;
        pods(cluster, count).await?;
        memory("  all there");
        one_more(cluster, "beside-all").await?;
        idle::idle(cluster).await?;
        restart(cluster).await
    })
    .await;
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let ours = ListParams::default().labels(SELECTED);
    nodes
        .delete_collection(&DeleteParams::default(), &ours)
        .await?;
    measured
}

/// Nodes for nobody but those who name them; node drivers tolerate every taint and come too.
async fn nodes(cluster: &Cluster) -> Outcome<()> {
    let nodes = (0..NODES)
        .map(|number| {
            Ok(serde_json::from_value(json!({
                "metadata": {
                    "name": node(number),
                    "annotations": { "kwok.x-k8s.io/node": "fake" },
                    "labels": { "dlf.dev/bench": "scale", "kubernetes.io/os": "linux" },
                },
                "spec": { "taints": [{ "key": "dlf.dev/bench", "effect": "NoSchedule" }] },
            }))?)
        })
        .collect::<Outcome<Vec<Node>>>()?;
    create(&Api::all(cluster.client.clone()), nodes).await?;
    Ok(())
}

fn node(number: usize) -> String {
    format!("bench-{number}")
}

async fn datasets(cluster: &Cluster, count: usize) -> Outcome<()> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), SPACE);
    let keys = serde_json::from_value(json!({
        "metadata": { "name": "keys" },
        "stringData": {
            "accessKeyID": cluster.setting("S3_KEY"),
            "secretAccessKey": cluster.setting("S3_SECRET"),
        },
    }))?;
    secrets.create(&PostParams::default(), &keys).await?;
    let more = json!({ "secret-name": "keys", "accessKeyID": "", "secretAccessKey": "" });
    let objects = (0..count)
        .map(|number| cluster.dataset(&dataset(number), "bench", &more))
        .collect::<Outcome<Vec<_>>>()?;
    let (leader, before) = cluster.leader().await?;
    let (spending, began) = (Spending::begin(), Instant::now());
    let api = cluster.datasets(SPACE);
    let (created, there) =
        tokio::join!(create(&api, objects), claims(&cluster.client, SPACE, count));
    there?;
    let (created, took) = (created?, began.elapsed());
    let after = Scrape::of(leader.address).await?;
    println!(
        "  Datasets: created {:.0}/s, claims there after {:.0} s ({:.0}/s), {:.0} writes of the leader; {}",
        rate(count, created),
        took.as_secs_f64(),
        rate(count, took),
        after.writes_since(&before),
        spending.spent(),
    );
    settled(cluster).await?;
    memory("  Datasets there");
    Ok(())
}

fn dataset(number: usize) -> String {
    format!("d{number}")
}

async fn pods(cluster: &Cluster, count: usize) -> Outcome<()> {
    let pods = (0..count)
        .map(|number| {
            Ok(serde_json::from_value(json!({
                "metadata": { "name": format!("p{number}"), "labels": { "dataset.0.id": dataset(number) } },
                "spec": {
                    "nodeName": node(number % NODES), "terminationGracePeriodSeconds": 0,
                    "tolerations": [{ "operator": "Exists" }],
                    "containers": [{ "name": "main", "image": "none" }],
                },
            }))?)
        })
        .collect::<Outcome<Vec<Pod>>>()?;
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), SPACE);
    let (spending, began) = (Spending::begin(), Instant::now());
    let created = create(&api, pods).await?;
    let running = ListParams::default()
        .fields("status.phase=Running")
        .match_any();
    until("the pods to run", async || {
        Ok(api.list_metadata(&running).await?.items.len() >= count)
    })
    .await?;
    println!(
        "  pods: created {:.0}/s, all run after {:.0} s; {}",
        rate(count, created),
        began.elapsed().as_secs_f64(),
        spending.spent(),
    );
    settled(cluster).await
}

/// Until the operator has worked off what it knows of.
async fn settled(cluster: &Cluster) -> Outcome<()> {
    let began = Instant::now();
    let (leader, mut before) = cluster.leader().await?;
    until("the operator to have nothing to do", async || {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = Scrape::of(leader.address).await?;
        let quiet = now.writes_since(&before) < 20.0;
        before = now;
        Ok(quiet)
    })
    .await?;
    println!(
        "  the leader writes no more after further {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn one_more(cluster: &Cluster, name: &str) -> Outcome<()> {
    let api = cluster.datasets(SPACE);
    let began = Instant::now();
    create(&api, vec![cluster.dataset(name, "bench", &json!({}))?]).await?;
    until("it to be provisioned", async || {
        Ok(has(&api.get(name).await?, "Provisioned", "True"))
    })
    .await?;
    println!(
        "  one more Dataset is provisioned after {:.2} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Every replica of operator and worker dies at once.
async fn restart(cluster: &Cluster) -> Outcome<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let selected =
        ListParams::default().labels("app.kubernetes.io/component in (operator, worker)");
    let began = Instant::now();
    let now = DeleteParams::default().grace_period(0);
    let gone = pods.list(&selected).await?.items;
    stream::iter(gone)
        .map(|pod| {
            let (pods, now) = (pods.clone(), now.clone());
            async move {
                pods.delete(&pod.metadata.name.unwrap_or_default(), &now)
                    .await
            }
        })
        .buffer_unordered(4)
        .try_for_each(async |_| Ok(()))
        .await?;
    let cluster = loop {
        let again = Cluster::connect().await;
        if let Ok(again) = again
            && again.leader().await.is_ok()
        {
            break again;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    println!(
        "all replicas of operator and worker killed: a new one leads after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    one_more(&cluster, "after-restart").await?;
    settled(&cluster).await?;
    let (_, scrape) = cluster.leader().await?;
    println!(
        "  since its start the leader sent {:.0} requests to the API server, {:.0} of them writes",
        scrape.requests_since(&Scrape::default()),
        scrape.writes_since(&Scrape::default()),
    );
    memory("  after the restart");
    Ok(())
}

/// Processes whose cost is shown.
struct Spending {
    began: Instant,
    of: [(&'static str, Processes); 3],
}

impl Spending {
    fn begin() -> Self {
        let names = ["dlf-operator", "dlf-worker", "kube-apiserver"];
        Self {
            began: Instant::now(),
            of: names.map(|name| (name, Processes::of(name, None))),
        }
    }

    fn spent(&self) -> String {
        let took = self.began.elapsed().as_secs_f64();
        let each = self.of.iter().map(|(name, processes)| {
            let spent = processes.spent().as_secs_f64();
            format!("{name} {spent:.0} s of CPU ({:.2})", spent / took)
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

fn memory(when: &str) {
    let names = ["dlf-operator", "dlf-worker", "dlf-csi", "kube-apiserver"];
    let each = names.map(|name| {
        let largest = Processes::of(name, None).resident_max();
        format!("{name} {} MiB", mebibytes(largest))
    });
    println!("{when}: {} (the largest of each)", each.join(", "));
}
