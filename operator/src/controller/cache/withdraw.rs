use std::collections::{BTreeMap, BTreeSet};

use dlf_core::{api::Dataset, plugin::CachePlace};
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::{
    CacheKey, CacheObject, apply,
    held::{HELD_MAX, Pods, Verdict},
    status::{endpoint_of, is_at},
    validate::{Cache, cache_of},
};
use crate::controller::{Context, error::ReconcileError, events::publish, names::Identity};

/// Pods that an event names; their number stands behind.
const NAMED_MAX: usize = 5;

/// Deletes objects of this cache that its plugin plans no longer.
pub(super) async fn unplanned(
    planned: &BTreeSet<CacheKey>,
    cache: &Cache,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    for (key, known) in ctx.shared.cache_objects.of(&identity.uid) {
        if cache.place.owns(&key.1) && !planned.contains(&key) {
            apply::remove(&key, &known, ctx).await?;
        }
    }
    Ok(())
}

/// Deletes the other caches of this dataset than `wanted`, each once nothing reads through it; true once
/// there are none.
pub(super) async fn unwanted(
    dataset: &Dataset,
    identity: &Identity,
    wanted: Option<&CachePlace>,
    ctx: &Context,
) -> Result<bool, ReconcileError> {
    let mut caches: BTreeMap<String, Vec<(CacheKey, CacheObject)>> = BTreeMap::new();
    for (key, known) in ctx.shared.cache_objects.of(&identity.uid) {
        let cache = cache_of(&key.1).to_owned();
        caches.entry(cache).or_default().push((key, known));
    }
    if let Some(wanted) = wanted {
        caches.remove(&wanted.name);
        ctx.shared.withdrawn.forget(&wanted.name);
    }
    if caches.is_empty() {
        return Ok(true);
    }
    if is_read_through(identity, wanted, ctx) {
        return Ok(false);
    }
    let mut gone = true;
    for (cache, objects) in &caches {
        gone &=
            is_released(cache, dataset, identity, ctx).await && remove(cache, objects, ctx).await?;
    }
    Ok(gone)
}

/// Whether no environment holds a cache any more, or has held it long enough.
async fn is_released(cache: &str, dataset: &Dataset, identity: &Identity, ctx: &Context) -> bool {
    let key = (identity.namespace.clone(), identity.name.clone());
    let told = ctx.shared.pods.told(&key);
    let minutes = HELD_MAX.as_secs() / 60;
    match ctx.shared.withdrawn.look(cache, &told, Instant::now()) {
        Verdict::Goes => return true,
        Verdict::Stays(None) => {}
        Verdict::Stays(Some(holders)) => {
            let note = format!(
                "the withdrawn cache {cache} stays for pods that were started with its address until they have \
                 ended, at most {minutes} minutes: {}",
                named(&holders)
            );
            publish(dataset, EventType::Normal, "CacheHeld", &note, ctx).await;
        }
        Verdict::GoesFrom(holders) => {
            let note = format!(
                "the withdrawn cache {cache} is deleted after {minutes} minutes; pods that were started with its \
                 address are to be started anew: {}",
                named(&holders)
            );
            publish(dataset, EventType::Warning, "CacheDeleted", &note, ctx).await;
            return true;
        }
    }
    false
}

fn named(pods: &Pods) -> String {
    let names: Vec<&str> = pods.values().map(String::as_str).take(NAMED_MAX).collect();
    let names = names.join(", ");
    match pods.len().saturating_sub(NAMED_MAX) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// Deletes the objects of a cache; true once they are gone.
async fn remove(
    cache: &str,
    objects: &[(CacheKey, CacheObject)],
    ctx: &Context,
) -> Result<bool, ReconcileError> {
    let mut gone = true;
    for (key, known) in objects {
        gone &= apply::remove(key, known, ctx).await?;
    }
    if gone {
        ctx.shared.withdrawn.forget(cache);
    }
    Ok(gone)
}

/// Deletes every object of a dataset's caches; true once there are none.
///
/// # Errors
/// What has to be tried again.
pub(in crate::controller) async fn remove_all(
    identity: &Identity,
    ctx: &Context,
) -> Result<bool, ReconcileError> {
    let _lane = ctx
        .shared
        .cache_lanes
        .enter(&identity.namespace, &identity.name)
        .await;
    ctx.shared.book.forget(&identity.uid);
    if !ctx.shared.cache_objects.is_listed() {
        // The watches of a leader that has just begun do not show them yet.
        apply::look_up(&identity.uid, ctx).await?;
    }
    let mut gone = true;
    for (key, known) in ctx.shared.cache_objects.of(&identity.uid) {
        gone &= apply::remove(&key, &known, ctx).await?;
        ctx.shared.withdrawn.forget(cache_of(&key.1));
    }
    Ok(gone)
}

/// Whether the effective source leads to another cache than `wanted`, or somebody still works with one
/// that did: a node, or the controller that tells it to nodes and environments.
fn is_read_through(identity: &Identity, wanted: Option<&CachePlace>, ctx: &Context) -> bool {
    let internal = ctx.internal(&identity.namespace, &identity.name);
    let leads_there = internal.is_some_and(|internal| {
        let endpoint = endpoint_of(&internal);
        let status = internal.status.as_ref();
        let seen = status.and_then(|status| status.observed_generation);
        seen != internal.metadata.generation
            || endpoint
                .is_some_and(|endpoint| !wanted.is_some_and(|wanted| is_at(&endpoint, wanted)))
    });
    leads_there || {
        let rollout = ctx
            .shared
            .nodes
            .read(|nodes| nodes.rollout(&identity.handle()));
        !rollout.behind.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_many_pods_are_named() {
        let pods = |number: usize| {
            (0..number)
                .map(|n| (n.to_string(), format!("p{n}")))
                .collect()
        };
        assert_eq!(named(&pods(2)), "p0, p1");
        assert_eq!(named(&pods(9)), "p0, p1, p2, p3, p4 and 4 more");
    }
}
