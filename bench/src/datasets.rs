//! Datasets made until all their claims are there.

use serde_json::json;
use tokio::time::Instant;

use crate::{
    Outcome,
    cluster::{Cluster, dataset},
    figures::{mebibytes, rate},
    metrics::Scrape,
    namespace::{claims, create, within},
    process::Processes,
};

const COUNTS: [usize; 3] = [100, 500, 2_000];

pub(crate) async fn measure(cluster: &Cluster) -> Outcome<()> {
    println!(
        "\nDatasets (COS, inline keys, one bucket) until all claims are there, 16 requests at once"
    );
    println!(
        "  Datasets     time   created   claims there   operator CPU   RSS of leader   its API writes"
    );
    for count in COUNTS {
        let space = format!("bench-datasets-{count}");
        within(&cluster.client, &space, async || {
            one(cluster, &space, count).await
        })
        .await?;
    }
    Ok(())
}

async fn one(cluster: &Cluster, space: &str, count: usize) -> Outcome<()> {
    cluster.bucket(space).await?;
    let (leader, before) = cluster.leader().await?;
    let spending = Processes::of("dlf-operator", None);
    let leading = Processes::of("dlf-operator", Some(&leader.pod_uid));
    let objects = (0..count)
        .map(|number| dataset(&format!("d{number}"), &json!({})))
        .collect::<Outcome<Vec<_>>>()?;
    let began = Instant::now();
    let api = cluster.datasets(space);
    let (created, there) =
        tokio::join!(create(&api, objects), claims(&cluster.client, space, count));
    let (created, took) = (created?, began.elapsed());
    there?;
    let after = Scrape::of(leader.address).await?;
    let writes = after.writes_since(&before);
    println!(
        "  {count:>8} {:>6.1} s {:>7.0}/s {:>12.0}/s {:>12.1} s {:>11} MiB {writes:>16.0}",
        took.as_secs_f64(),
        rate(count, created),
        rate(count, took),
        spending.spent().as_secs_f64(),
        mebibytes(leading.resident_max()),
    );
    Ok(())
}
