//! Thousands of Datasets that fail or wait: what one more needs beside them, and what they cost an
//! idle cluster.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Outcome,
    cluster::{Cluster, dataset},
    figures::mebibytes,
    metrics::Scrape,
    namespace::{claims, create, has, until, within},
    process::Processes,
};

const SPACE: &str = "bench-waiting";
const COUNT: usize = 2_000;
/// Until first attempts and their retries are over.
const SETTLE: Duration = Duration::from_mins(2);
const WATCHED: Duration = Duration::from_mins(1);

pub(crate) async fn measure(cluster: &Cluster) -> Outcome<()> {
    within(&cluster.client, SPACE, async || measure_in(cluster).await).await
}

async fn measure_in(cluster: &Cluster) -> Outcome<()> {
    cluster.bucket(SPACE).await?;
    let api = cluster.datasets(SPACE);
    // Half wait for a Secret, half point at an address where nobody answers.
    let waiting: Value = json!({ "secret-name": "not-yet" });
    let failing: Value = json!({ "endpoint": "http://10.85.255.2:9" });
    let objects = (0..COUNT)
        .map(|number| {
            let more = if number % 2 == 0 { &waiting } else { &failing };
            dataset(&format!("d{number}"), more)
        })
        .collect::<Outcome<Vec<_>>>()?;
    create(&api, objects).await?;
    claims(&cluster.client, SPACE, COUNT).await?;
    println!(
        "\n{COUNT} Datasets, half without their Secret, half at an address where nobody answers"
    );
    one_more(cluster, "while they are tried").await?;
    sleep(SETTLE).await;
    one_more(cluster, "two minutes later").await?;
    idle(cluster).await
}

async fn one_more(cluster: &Cluster, when: &str) -> Outcome<()> {
    let api = cluster.datasets(SPACE);
    let name = format!("more-{}", when.len());
    let began = Instant::now();
    create(&api, vec![dataset(&name, &json!({}))?]).await?;
    until("its claim", async || {
        let found = api.get(&name).await?;
        Ok(has(&found, "Provisioned", "True"))
    })
    .await?;
    println!(
        "  one more is provisioned {when} within {:.2} s",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// What an idle cluster costs for a minute.
pub(crate) async fn idle(cluster: &Cluster) -> Outcome<()> {
    let before = cluster.scrapes().await?;
    let spending = Processes::of("dlf-operator", None);
    sleep(WATCHED).await;
    let after = cluster.scrapes().await?;
    let kinds = requests_by_kind(&before, &after);
    let total: f64 = kinds.values().sum();
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| format!("{kind} {count:.0}"))
        .collect();
    println!(
        "  idle, per minute, all replicas: {total:.0} requests to the API server ({}), {:.2} s of CPU; the largest holds {} MiB",
        kinds.join(", "),
        spending.spent().as_secs_f64(),
        mebibytes(spending.resident_max()),
    );
    Ok(())
}

/// What the replicas asked between two scrapes, by verb and resource.
fn requests_by_kind(before: &[Scrape], after: &[Scrape]) -> BTreeMap<String, f64> {
    let mut kinds = BTreeMap::new();
    for (before, after) in before.iter().zip(after) {
        for (kind, count) in after.requests_by_kind() {
            *kinds.entry(kind).or_default() += count;
        }
        for (kind, count) in before.requests_by_kind() {
            *kinds.entry(kind).or_default() -= count;
        }
    }
    kinds.retain(|_, count| *count > 0.0);
    kinds
}
