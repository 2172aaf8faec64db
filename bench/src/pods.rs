//! Pods made through the API server: what the webhook costs those who ask for datasets.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
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
    println!(
        "\npods through the API server, {COUNT} at a time, 16 requests at once, scheduled by nobody"
    );
    let mut totals = [Duration::ZERO; 2];
    for round in 0..ROUNDS {
        for (with, total) in totals.iter_mut().enumerate() {
            *total += create(&api, pods(round, with == 1)?).await?;
            clear(&api).await?;
        }
    }
    let [without, with] = totals.map(|total| rate(COUNT * ROUNDS, total));
    println!(
        "  without dataset labels {without:.0}/s, with {with:.0}/s: {:.2} of it",
        with / without
    );
    Ok(())
}

fn pods(round: usize, with: bool) -> Outcome<Vec<Pod>> {
    let labels = if with {
        json!({ "dataset.0.id": "books", "dataset.0.useas": "mount" })
    } else {
        json!({ "app": "plain", "tier": "none" })
    };
    (0..COUNT)
        .map(|number| {
            Ok(serde_json::from_value(json!({
                "metadata": { "name": format!("p{}-{round}-{number}", u8::from(with)), "labels": labels },
                "spec": {
                    "schedulerName": "nobody", "terminationGracePeriodSeconds": 0,
                    "containers": [{ "name": "main", "image": "none" }],
                },
            }))?)
        })
        .collect()
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
