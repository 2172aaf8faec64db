//! A cache in front of a dataset's bucket: what its plugin plans exists, in a namespace of its own.
//!
//! It has a controller of its own, so that no plugin, however slow, is ever waited for by the
//! reconcile of a Dataset: that reads the state of the cache as it was found last.

mod apply;
mod holders;
mod keys;
mod network_policy;
mod objects;
mod plan;
mod refused;
mod starting;
mod state;
mod status;
mod validate;
mod withdraw;
mod work;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dlf_core::{api::Dataset, plugin::CachingPlan};
use kube::ResourceExt;

pub use holders::Withdrawn;
pub use objects::{CacheKey, CacheKind, CacheObject, CacheObjects};
pub use state::{CacheState, CacheStates};
pub(super) use status::{endpoint_of, state_of};
pub(super) use withdraw::remove_all;

use self::{
    plan::Planned,
    starting::Starting,
    status::Figures,
    validate::{Cache, Wanted},
};
use super::{Context, Next, dataset::source_of, error::ReconcileError, names::Identity};

/// A plan is made again this often although nothing changed.
const RESYNC: Duration = Duration::from_mins(30);
/// The soonest and the latest that a plugin can have its plan made again.
const REQUEUE: (Duration, Duration) = (Duration::from_secs(1), RESYNC);
/// The latest that it can while its cache starts, so that what keeps pods from starting is told.
const STARTING: Duration = Duration::from_secs(30);
/// First look after a plugin failed, or something stood in the way.
const RECHECK: Duration = Duration::from_secs(5);

/// Brings a dataset's cache to what its spec says.
///
/// # Errors
/// What has to be tried again.
pub(super) async fn reconcile(
    dataset: Arc<Dataset>,
    ctx: Arc<Context>,
) -> Result<Next, ReconcileError> {
    let identity = Identity::of(&dataset, ctx.group)?;
    let (namespace, name) = (&identity.namespace, &identity.name);
    let _lock = ctx.shared.cache_locks.lock(namespace, name).await;
    // What was queued may have changed while another held the lock.
    let Some(dataset) = ctx.dataset(ctx.group, namespace, name) else {
        return Ok(Next::Wait);
    };
    let going = dataset.metadata.deletion_timestamp.is_some()
        || dataset.uid().as_deref() != Some(&identity.uid);
    if going || ctx.is_terminating(namespace) || ctx.elder(&dataset).is_some() {
        return Ok(Next::Wait);
    }
    let shared = &ctx.shared;
    let wanted = validate::run(
        &dataset,
        &identity,
        &shared.plugins,
        &shared.caches_namespace,
    );
    if !matches!(wanted, Ok(Wanted::Cache(_))) {
        work::stop(&identity, &ctx);
    }
    match wanted {
        Ok(Wanted::Nothing(_)) => {
            let gone = withdraw::unwanted(&dataset, &identity, None, &ctx).await?;
            if shared.cache_states.forget(&identity.uid) {
                wake(&identity, &ctx);
            }
            Ok(until(gone))
        }
        Ok(Wanted::External(plugin)) => {
            let gone = withdraw::unwanted(&dataset, &identity, None, &ctx).await?;
            note(status::external(plugin.name()), &identity, &ctx);
            Ok(until(gone))
        }
        Ok(Wanted::Unplanned(problem)) => {
            // Nobody plans for what is there, so it goes as one does that is wanted no more.
            note(
                status::stopped(&problem, None, &identity, &ctx),
                &identity,
                &ctx,
            );
            let gone = withdraw::unwanted(&dataset, &identity, None, &ctx).await?;
            Ok(until(gone))
        }
        Ok(Wanted::Cache(cache)) => serve(&cache, &dataset, &identity, &ctx).await,
        Err(problem) => {
            note(
                status::stopped(&problem, None, &identity, &ctx),
                &identity,
                &ctx,
            );
            Ok(Next::Blocked(RECHECK))
        }
    }
}

/// When a cache is looked at again that is not wanted.
const fn until(gone: bool) -> Next {
    if gone {
        Next::Wait
    } else {
        Next::After(RECHECK)
    }
}

async fn serve(
    cache: &Cache,
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Next, ReconcileError> {
    if let Some(problem) = validate::not_yet(cache, dataset, ctx) {
        note(CacheState::waiting(problem), identity, ctx);
        // The Dataset's next status brings us here again.
        let cleared = withdraw::unwanted(dataset, identity, Some(&cache.place), ctx).await?;
        return Ok(until(cleared));
    }
    let shown = ctx.shared.cache_states.work(&identity.uid);
    let source = source_of(&cache.source, identity, ctx).await?;
    let asked = plan::run(cache, &shown, identity, ctx).await;
    let keyed = asked.and_then(|planned| Ok((keys::secret(&planned.place, &source)?, planned)));
    let (keys, Planned { plan, place }) = match keyed {
        Ok(planned) => planned,
        Err(problem) => {
            // What it planned before stays.
            note(
                status::stopped(&problem, Some(cache), identity, ctx),
                identity,
                ctx,
            );
            return Ok(problem.again_in.map_or(Next::Blocked(RECHECK), Next::After));
        }
    };
    let plugin = cache.plugin.name();
    let (obstacle, planned) =
        apply::run(&plan.objects, keys.as_ref(), plugin, &place, identity, ctx).await?;
    let last = status::last(identity, ctx);
    let (work, warmup) = work::run(&plan, cache, source, last.as_deref(), identity, ctx);
    let (state, starts) = if let Some(problem) = &obstacle {
        (status::stopped(problem, Some(cache), identity, ctx), false)
    } else {
        let figures = Figures::new(&plan, &work, warmup, last.as_deref());
        made(cache, &plan, figures, &planned, identity, ctx).await
    };
    let latest = if starts {
        STARTING
    } else if work != shown {
        // What the plugin was not shown yet may be what its plan waits for.
        REQUEUE.0
    } else if plan.status_endpoints.is_empty() {
        REQUEUE.1
    } else {
        work::ASKED_EVERY
    };
    ctx.shared.cache_states.set_work(&identity.uid, work);
    let next = match plan.requeue_after_ms {
        _ if obstacle.is_some() => Next::Blocked(RECHECK),
        Some(ms) => Next::After(Duration::from_millis(ms).clamp(REQUEUE.0, latest)),
        // No pod wakes anybody.
        None if starts => Next::Blocked(RECHECK),
        None => Next::After(latest),
    };
    note(state, identity, ctx);
    if obstacle.is_none() {
        // Until all of a plan is there, what was planned before goes on serving.
        withdraw::unplanned(&planned, cache, identity, ctx).await?;
    }
    let cleared = withdraw::unwanted(dataset, identity, Some(&cache.place), ctx).await?;
    Ok(if cleared { next } else { Next::After(RECHECK) })
}

/// The state of a cache of which all is there that was planned, and whether its pods still start.
async fn made(
    cache: &Cache,
    plan: &CachingPlan,
    figures: Figures,
    planned: &BTreeSet<CacheKey>,
    identity: &Identity,
    ctx: &Context,
) -> (CacheState, bool) {
    let state = status::planned(cache, plan, figures);
    if state.serves() {
        return (state, false);
    }
    match starting::look(planned, cache, identity, ctx).await {
        Some(Starting {
            trouble: Some(trouble),
        }) => (state.not_starting(&trouble), true),
        starting => (state, starting.is_some()),
    }
}

/// Keeps the state that was found, and has the Dataset look at it.
fn note(state: CacheState, identity: &Identity, ctx: &Context) {
    if ctx.shared.cache_states.set(&identity.uid, state) {
        wake(identity, ctx);
    }
}

fn wake(identity: &Identity, ctx: &Context) {
    let name = (identity.namespace.clone(), identity.name.clone());
    ctx.shared.findings.wake(&name);
}
