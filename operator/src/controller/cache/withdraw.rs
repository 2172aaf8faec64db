use std::collections::{BTreeMap, BTreeSet};

use dlf_core::{api::Dataset, plugin::CachePlace};
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::{
    CacheKey, CacheObject, apply,
    holders::{HELD_MAX, Holders, Verdict},
    status::{endpoint_of, is_at},
    validate::{Cache, cache_of},
};
use crate::controller::{Context, error::ReconcileError, events::publish, names::Identity};

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
    if leads_to_one(identity, wanted, ctx) {
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
    let present = holders(identity, ctx);
    let minutes = HELD_MAX.as_secs() / 60;
    match ctx.shared.withdrawn.look(cache, &present, Instant::now()) {
        Verdict::Goes => return true,
        Verdict::Stays(None) => {}
        Verdict::Stays(Some(holders)) => {
            let note = format!(
                "the withdrawn cache {cache} stays for whoever may still read through it, as pods do that were started \
                 with its address, at most {minutes} minutes: {holders}"
            );
            publish(dataset, EventType::Normal, "CacheHeld", &note, ctx).await;
        }
        Verdict::GoesFrom(holders) => {
            let note = format!(
                "the withdrawn cache {cache} is deleted after {minutes} minutes, though these may still read through \
                 it; pods are to be started anew: {holders}"
            );
            publish(dataset, EventType::Warning, "CacheDeleted", &note, ctx).await;
            return true;
        }
    }
    false
}

fn holders(identity: &Identity, ctx: &Context) -> Holders {
    let key = (identity.namespace.clone(), identity.name.clone());
    let nodes = &ctx.shared.nodes;
    let rollout = nodes.read(|nodes| nodes.rollout(&identity.handle()));
    Holders {
        pods: ctx.shared.pods.told(&key),
        nodes: rollout.behind.into_iter().collect(),
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
    let _lock = ctx
        .shared
        .cache_locks
        .lock(&identity.namespace, &identity.name)
        .await;
    ctx.shared.cache_states.forget(&identity.uid);
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

/// Whether the effective source leads to another cache than `wanted`, or what it leads to was not told to
/// nodes yet.
fn leads_to_one(identity: &Identity, wanted: Option<&CachePlace>, ctx: &Context) -> bool {
    let Some(internal) = ctx.internal(&identity.namespace, &identity.name) else {
        return false;
    };
    let status = internal.status.as_ref();
    let observed = status.and_then(|status| status.observed_generation);
    let is_wanted = |endpoint: &str| wanted.is_some_and(|wanted| is_at(endpoint, wanted));
    observed != internal.metadata.generation
        || endpoint_of(&internal).is_some_and(|endpoint| !is_wanted(&endpoint))
}
