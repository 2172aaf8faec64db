//! From a pod's creation to its running container, with a dataset and without.

use std::time::Duration;

use dlf_tests::settings;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    Outcome,
    cluster::{Cluster, dataset},
    figures::{Samples, milliseconds},
    namespace::{claims, create, until, within},
};

const SPACE: &str = "bench-startup";
const PODS: usize = 20;

pub(crate) async fn measure(cluster: &Cluster) -> Outcome<()> {
    within(&cluster.client, SPACE, async || measure_in(cluster).await).await
}

async fn measure_in(cluster: &Cluster) -> Outcome<()> {
    cluster.bucket(SPACE).await?;
    let dataset = dataset("books", &json!({}))?;
    create(&cluster.datasets(SPACE), vec![dataset]).await?;
    claims(&cluster.client, SPACE, 1).await?;
    let (mut without, mut with) = (Samples::default(), Samples::default());
    for number in 0..PODS {
        without.push(
            start(
                cluster,
                &format!("plain-{number}"),
                json!({ "app": "plain" }),
            )
            .await?,
        );
        with.push(
            start(
                cluster,
                &format!("reader-{number}"),
                json!({ "dataset.0.id": "books" }),
            )
            .await?,
        );
    }
    let (base, ours) = (without.percentile(50), with.percentile(50));
    println!("\na pod from creation to running, in turn, {PODS} each");
    println!(
        "  p50 without a dataset {:.0} ms, with one {:.0} ms: {:+.0} ms; p99 {:.0} and {:.0} ms",
        milliseconds(base),
        milliseconds(ours),
        milliseconds(ours) - milliseconds(base),
        milliseconds(without.percentile(99)),
        milliseconds(with.percentile(99)),
    );
    Ok(())
}

async fn start(cluster: &Cluster, name: &str, labels: serde_json::Value) -> Outcome<Duration> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), SPACE);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "main", "image": settings().get("TEST_IMAGE"), "command": ["sleep", "600"] }],
        },
    }))?;
    let began = Instant::now();
    api.create(&PostParams::default(), &pod).await?;
    until("the pod to run", async || {
        let status = api.get(name).await?.status.unwrap_or_default();
        Ok(status.phase.as_deref() == Some("Running"))
    })
    .await?;
    let took = began.elapsed();
    api.delete(name, &DeleteParams::default().grace_period(0))
        .await?;
    until("the pod to go", async || {
        Ok(api.get_opt(name).await?.is_none())
    })
    .await?;
    Ok(took)
}
