//! Pods made through the API server: what the webhook costs those who ask for datasets, and what of
//! that is the price of asking any webhook.

use std::time::Duration;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use crate::{
    Outcome,
    cluster::{Cluster, dataset},
    figures::rate,
    namespace::{claims, create, until, within},
};

const SPACE: &str = "bench-pods";
const COUNT: usize = 500;
/// In turn, because the machine's speed drifts.
const ROUNDS: usize = 3;

pub(crate) async fn measure(cluster: &Cluster) -> Outcome<()> {
    within(&cluster.client, SPACE, async || measure_in(cluster).await).await
}

async fn measure_in(cluster: &Cluster) -> Outcome<()> {
    let dataset = dataset("books", &json!({}))?;
    create(&cluster.datasets(SPACE), vec![dataset]).await?;
    claims(&cluster.client, SPACE, 1).await?;
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), SPACE);
    let plain = pod(&json!({ "app": "plain", "tier": "none" }))?;
    let asking = pod(&json!({ "dataset.0.id": "books", "dataset.0.useas": "mount" }))?;
    let decorated = decorated(&api, &asking).await?;
    println!(
        "\npods through the API server, {COUNT} at a time, 16 requests at once, scheduled by nobody"
    );
    let kinds = [&plain, &asking, &decorated];
    let mut totals = [Duration::ZERO; 3];
    for round in 0..ROUNDS {
        for (kind, total) in kinds.iter().zip(&mut totals) {
            *total += create(&api, copies(kind, round)).await?;
            clear(&api).await?;
        }
    }
    let [without, with, unchanged] = totals.map(|total| rate(COUNT * ROUNDS, total));
    println!(
        "  without dataset labels {without:.0}/s, with {with:.0}/s: {:.2} of it; with, and already as the webhook \
         would have them, {unchanged:.0}/s: {:.2}",
        with / without,
        unchanged / without,
    );
    Ok(())
}

fn pod(labels: &serde_json::Value) -> Outcome<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": "first", "labels": labels },
        "spec": {
            "schedulerName": "nobody", "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "main", "image": "none" }],
        },
    }))?)
}

/// A pod as the webhook leaves it: asked again, it changes nothing.
async fn decorated(api: &Api<Pod>, asking: &Pod) -> Outcome<Pod> {
    let made = api.create(&PostParams::default(), asking).await?;
    clear(api).await?;
    Ok(Pod {
        metadata: ObjectMeta {
            name: made.metadata.name,
            labels: made.metadata.labels,
            annotations: made.metadata.annotations,
            ..ObjectMeta::default()
        },
        spec: made.spec,
        status: None,
    })
}

fn copies(pod: &Pod, round: usize) -> Vec<Pod> {
    let named = |number| {
        let mut pod = pod.clone();
        pod.metadata.name = Some(format!("p-{round}-{number}"));
        pod
    };
    (0..COUNT).map(named).collect()
}

async fn clear(api: &Api<Pod>) -> Outcome<()> {
    let all = ListParams::default();
    api.delete_collection(&DeleteParams::default(), &all)
        .await?;
    until("the pods to go", async || {
        Ok(api.list_metadata(&all).await?.items.is_empty())
    })
    .await
}
