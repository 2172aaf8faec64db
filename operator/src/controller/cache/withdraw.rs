use std::collections::BTreeSet;

use dlf_core::plugin::CachePlace;

use super::{
    CacheKey, apply,
    status::{endpoint_of, is_at},
    validate::Cache,
};
use crate::controller::{Context, error::ReconcileError, names::Identity};

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

/// Deletes objects of other caches of this dataset than `wanted`, once nothing reads through them;
/// true once there are none.
pub(super) async fn unwanted(
    identity: &Identity,
    wanted: Option<&CachePlace>,
    ctx: &Context,
) -> Result<bool, ReconcileError> {
    let mut objects = ctx.shared.cache_objects.of(&identity.uid);
    objects.retain(|(_, name), _| !wanted.is_some_and(|wanted| wanted.owns(name)));
    if objects.is_empty() {
        return Ok(true);
    }
    if is_read_through(identity, wanted, ctx) {
        return Ok(false);
    }
    let mut gone = true;
    for (key, known) in &objects {
        gone &= apply::remove(key, known, ctx).await?;
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
    }
    Ok(gone)
}

/// Whether the effective source leads to another cache than `wanted`, or a node still works with one
/// that did.
fn is_read_through(identity: &Identity, wanted: Option<&CachePlace>, ctx: &Context) -> bool {
    let internal = ctx.internal(&identity.namespace, &identity.name);
    let endpoint = internal.and_then(|found| endpoint_of(&found));
    let leads_there =
        endpoint.is_some_and(|endpoint| !wanted.is_some_and(|wanted| is_at(&endpoint, wanted)));
    leads_there || {
        let rollout = ctx
            .shared
            .nodes
            .read(|nodes| nodes.rollout(&identity.handle()));
        !rollout.behind.is_empty()
    }
}
