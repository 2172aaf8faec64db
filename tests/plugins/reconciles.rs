//! How long the leader's reconciles take, by its own histogram.

use std::iter::repeat;

use crate::installed::leader_says;

/// Reconciles of Datasets that took up to so many seconds, by seconds.
pub(crate) struct Reconciles(Vec<(f64, f64)>);

impl Reconciles {
    /// Of all since the leader began.
    pub(crate) fn so_far() -> Self {
        let metrics = leader_says("metrics");
        let buckets = metrics.lines().filter_map(|line| {
            let rest = line.strip_prefix("dlf_reconcile_seconds_bucket{")?;
            let (labels, count) = rest.split_once("} ")?;
            let most = labels.split("le=\"").nth(1)?.split('"').next()?;
            let is_dataset = labels.contains("kind=\"Dataset\"");
            is_dataset.then_some((most.parse().ok()?, count.parse().ok()?))
        });
        Self(buckets.collect())
    }

    /// The bucket, in ms, in which the p99 of those since then lies, and how many there were.
    pub(crate) fn p99_since(&self, then: &Self) -> (f64, f64) {
        // A leader that has reconciled nothing yet shows no buckets.
        let before = then.0.iter().map(|then| then.1).chain(repeat(0.0));
        let since = |(now, before): (&(f64, f64), f64)| (now.0, now.1 - before);
        let since: Vec<(f64, f64)> = self.0.iter().zip(before).map(since).collect();
        let all = since.last().map_or(0.0, |last| last.1);
        let found = since.iter().find(|(_, count)| *count >= 0.99 * all);
        (found.map_or(f64::NAN, |found| found.0 * 1000.0), all)
    }
}
