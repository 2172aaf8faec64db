//! Twenty thousand Datasets and as many pods on nodes that kwok plays: what the control plane costs,
//! at work, idle, and when all its replicas start anew.

mod cost;
mod drivers;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use dlf_tests::settings;
use dlf_wire::nodes::v1::PodRef;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::Instant;

use self::{
    cost::{Spending, memory},
    drivers::{Drivers, Mount},
};
use crate::{
    Outcome,
    cluster::{Cluster, NAMESPACE, dataset},
    figures::rate,
    idle,
    metrics::Scrape,
    namespace::{claims, create, has, until, within},
};

const SPACE: &str = "bench-scale";
const NODES: usize = 200;
const SELECTED: &str = "dlf.dev/bench=scale";

/// Measures with `count` Datasets and `count` pods.
pub(crate) async fn measure(cluster: &Cluster, count: usize) -> Outcome<()> {
    println!(
        "\n{count} Datasets (COS, keys of one Secret) and {count} pods with one each, on {NODES} nodes played by kwok, in one namespace"
    );
    remove_nodes(cluster).await?; // of an earlier run that ended before it did
    nodes(cluster).await?;
    let measured = within(&cluster.client, SPACE, async || {
        datasets(cluster, count).await?;
        pods(cluster, count).await?;
        memory("  all there");
        let mounts = mounts(cluster).await?;
        let attached = attach(cluster, &mounts).await?;
        memory("  all attached");
        one_more(cluster, "beside-all").await?;
        idle::idle(cluster).await?;
        rotate(cluster, &attached, count).await?;
        drop(attached);
        restart(cluster, &mounts).await
    })
    .await;
    remove_nodes(cluster).await?;
    measured
}

async fn remove_nodes(cluster: &Cluster) -> Outcome<()> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let ours = ListParams::default().labels(SELECTED);
    nodes
        .delete_collection(&DeleteParams::default(), &ours)
        .await?;
    until("the nodes of kwok to go", async || {
        Ok(nodes.list_metadata(&ours).await?.items.is_empty())
    })
    .await
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
    cluster.bucket(SPACE).await?;
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), SPACE);
    let keys = serde_json::from_value(json!({
        "metadata": { "name": "keys" },
        "stringData": {
            "accessKeyID": settings().get("S3_KEY"),
            "secretAccessKey": settings().get("S3_SECRET"),
        },
    }))?;
    secrets.create(&PostParams::default(), &keys).await?;
    let more = json!({ "secret-name": "keys", "accessKeyID": "", "secretAccessKey": "" });
    let objects = (0..count)
        .map(|number| dataset(&dataset_name(number), &more))
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

fn dataset_name(number: usize) -> String {
    format!("d{number}")
}

async fn pods(cluster: &Cluster, count: usize) -> Outcome<()> {
    let pods = (0..count)
        .map(|number| {
            Ok(serde_json::from_value(json!({
                "metadata": { "name": format!("p{number}"), "labels": { "dataset.0.id": dataset_name(number) } },
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

/// What each of the nodes is to mount.
async fn mounts(cluster: &Cluster) -> Outcome<BTreeMap<String, Vec<Mount>>> {
    let all = ListParams::default();
    let datasets = cluster.datasets(SPACE);
    let uids: HashMap<String, String> = datasets
        .list_metadata(&all)
        .await?
        .into_iter()
        .map(|dataset| (dataset.name_any(), dataset.uid().unwrap_or_default()))
        .collect();
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), SPACE);
    let mut mounts = BTreeMap::<String, Vec<Mount>>::new();
    for pod in pods.list(&all).await? {
        let uid = pod
            .labels()
            .get("dataset.0.id")
            .and_then(|name| uids.get(name));
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        if let (Some(uid), Some(node)) = (uid, node) {
            mounts.entry(node).or_default().push(Mount {
                volume_handle: format!("dlf-{uid}"),
                pod: PodRef {
                    namespace: SPACE.to_owned(),
                    name: pod.name_any(),
                    uid: pod.uid().unwrap_or_default(),
                },
            });
        }
    }
    Ok(mounts)
}

async fn attach(cluster: &Cluster, mounts: &BTreeMap<String, Vec<Mount>>) -> Outcome<Drivers> {
    let spending = Spending::begin();
    let (drivers, [welcomed, granted]) = Drivers::attach(cluster, mounts, false).await?;
    println!(
        "  {} node drivers attached after {:.1} s, all their mounts granted after {:.1} s; {}",
        mounts.len(),
        welcomed.as_secs_f64(),
        granted.as_secs_f64(),
        spending.spent(),
    );
    Ok(drivers)
}

/// The keys of all Datasets change at once.
async fn rotate(cluster: &Cluster, attached: &Drivers, count: usize) -> Outcome<()> {
    let (leader, before) = cluster.leader().await?;
    let (spending, began) = (Spending::begin(), Instant::now());
    let newest = attached.newest();
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), SPACE);
    let keys = json!({ "stringData": {
        "accessKeyID": settings().get("S3_READER_KEY"),
        "secretAccessKey": settings().get("S3_READER_SECRET"),
    }});
    secrets
        .patch("keys", &PatchParams::default(), &Patch::Merge(&keys))
        .await?;
    let updated = async |share: usize| -> Outcome<f64> {
        until("the nodes to be told", async || {
            Ok(attached.count(newest) >= share)
        })
        .await?;
        Ok(began.elapsed().as_secs_f64())
    };
    let (half, all) = (updated(count / 2).await?, updated(count).await?);
    let after = Scrape::of(leader.address).await?;
    println!(
        "  the Secret with the keys of all {count} changes: half of the nodes' mounts are told after {half:.1} s, all after {all:.1} s, {:.0} writes; {}",
        after.writes_since(&before),
        spending.spent(),
    );
    Ok(())
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
    create(&api, vec![dataset(name, &json!({}))?]).await?;
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
async fn restart(cluster: &Cluster, mounts: &BTreeMap<String, Vec<Mount>>) -> Outcome<()> {
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
    let (_drivers, [welcomed, _]) = Drivers::attach(&cluster, mounts, true).await?;
    println!(
        "  {} node drivers came back with what they hold within {:.1} s",
        mounts.len(),
        welcomed.as_secs_f64()
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
