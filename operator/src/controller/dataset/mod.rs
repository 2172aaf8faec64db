//! What a user wrote becomes what pods use: a DatasetInternal, a claim and a volume, what consumers
//! read, and what nodes mount. One turn does it all, and says in the status what became of it.

mod apply;
mod build;
mod delete;
mod dereference;
mod finalizer;
mod findings;
mod internal;
mod kept;
mod keys;
mod last_tasks;
mod losses;
mod node_config;
mod plan;
mod resolve;
mod source;
mod status;
mod validate;

use std::{sync::Arc, time::Duration};

use dlf_core::api::Dataset;
use dlf_wire::{dataset::v1::DatasetConfig, nodes::v1::Failure};

use self::{apply::Applied, dereference::Found};
pub(super) use self::{
    resolve::{read_through, source_of},
    source::spec as task_of,
};
use super::{
    Context, Next,
    error::{Problem, ReconcileError},
    names::Identity,
};

/// First look after an obstacle: it may be an object that is not ours, and those are not watched.
const OBSTACLE_RECHECK: Duration = Duration::from_secs(15);
/// A look at a Dataset whose plugin has not planned yet, should its answer wake nobody.
const PLAN_RECHECK: Duration = Duration::from_secs(30);

/// Brings what a Dataset makes to what it says.
///
/// # Errors
/// What has to be tried again.
pub(super) async fn reconcile(
    dataset: Arc<Dataset>,
    ctx: Arc<Context>,
) -> Result<Next, ReconcileError> {
    let identity = Identity::of(&dataset, ctx.group)?;
    let _lock = ctx
        .shared
        .dataset_locks
        .lock(&identity.namespace, &identity.name)
        .await;
    if dataset.metadata.deletion_timestamp.is_some() {
        return delete::run(&dataset, &identity, &ctx).await;
    }
    let found = dereference::run(&dataset, &identity, &ctx);
    if found.namespace_terminating {
        return Ok(Next::Wait);
    }
    if found.elder.is_some() {
        delete::give_way(&dataset, &identity, &ctx).await?;
    }
    let Some(mut applied) = make(&dataset, &identity, &found, &ctx).await? else {
        return Ok(Next::After(PLAN_RECHECK));
    };
    let source = source::ask(&applied, &dataset, &identity, &ctx);
    if found.elder.is_none() {
        let config = applied.node_config.take();
        let obstacle = applied.problem.clone().or_else(|| source.problem());
        tell_nodes(config, obstacle, &identity, &ctx);
    }
    let (refusal, over) = losses::standing(&dataset, &identity, found.refused.as_ref(), &ctx);
    let outcome = status::Outcome {
        applied,
        source,
        refusal,
    };
    let write_due = status::update(&dataset, &identity, &found, &outcome, &ctx).await?;
    let events_due = losses::tell(&dataset, &identity, &ctx).await;
    let problem = outcome.applied.problem.as_ref();
    let asked_again = problem.and_then(|problem| problem.again_in);
    let times = [write_due, over, events_due, asked_again];
    let own_time = times.into_iter().flatten().min();
    Ok(match own_time {
        Some(rest) => Next::After(rest),
        None if outcome.applied.is_blocked() => Next::Blocked(OBSTACLE_RECHECK),
        None => outcome.source.next(),
    })
}

/// Everything up to the status: reads what the plan refers to, and writes what follows from it. None while the
/// plugin has not planned yet: all stays as it is, and its answer wakes the Dataset.
async fn make(
    dataset: &Dataset,
    identity: &Identity,
    found: &Found,
    ctx: &Context,
) -> Result<Option<Applied>, ReconcileError> {
    let plugins = &ctx.shared.plugins;
    if found.cache.external.is_some() {
        internal::make_way(found.internal.as_deref(), identity, ctx).await?;
    }
    let valid = match validate::run(dataset, identity, found, plugins.config()) {
        Ok(valid) => valid,
        Err(problem) => return Ok(Some(Applied::failed(problem))),
    };
    let plan = match plan::run(&valid, dataset, identity, ctx).await {
        Some(Ok(plan)) => plan,
        Some(Err(problem)) => return Ok(Some(Applied::failed(problem))),
        None => return Ok(None),
    };
    let resolved = resolve::run(&plan, &valid, identity, ctx).await?;
    let made_with = found.claim.as_ref().and_then(|claim| claim.size.clone());
    let built = build::run(
        identity,
        &valid,
        plan,
        resolved,
        made_with,
        plugins.config(),
    );
    apply::run(built, dataset, identity, ctx).await.map(Some)
}

/// Mounts that exist follow every change; new ones wait while something stands in the way.
fn tell_nodes(
    config: Option<DatasetConfig>,
    obstacle: Option<Problem>,
    identity: &Identity,
    ctx: &Context,
) {
    let handle = identity.handle();
    ctx.shared.handles.set(&handle, identity.referrer());
    let refusal = obstacle.map(|problem| Failure::new(problem.reason, problem.message));
    match (config, refusal) {
        (Some(config), refusal) => ctx.shared.nodes.publish(config, refusal),
        (None, Some(refusal)) => ctx.shared.nodes.refuse(&handle, refusal),
        (None, None) => {}
    }
}
