//! The effective source becomes a claim, a volume, what consumers read, and what nodes mount.

mod apply;
mod build;
mod dereference;
mod kept;
mod keys;
mod source;
mod status;
mod validate;

use std::{sync::Arc, time::Duration};

use dlf_core::api::{Dataset, DatasetInternal};
use dlf_wire::nodes::v1::Failure;
use kube::ResourceExt;

use super::{
    Context, Next,
    error::{Problem, ReconcileError},
    names::Identity,
};

/// First look after an obstacle: it may be an object that is not ours, and those are not watched.
const OBSTACLE_RECHECK: Duration = Duration::from_secs(15);

/// Brings what a DatasetInternal makes to what it says.
///
/// # Errors
/// What has to be tried again.
pub(super) async fn reconcile(
    internal: Arc<DatasetInternal>,
    ctx: Arc<Context>,
) -> Result<Next, ReconcileError> {
    let namespace = internal
        .namespace()
        .ok_or(ReconcileError::Incomplete("namespace"))?;
    let _lane = ctx
        .shared
        .lanes
        .enter(&namespace, &internal.name_any())
        .await;
    let Some(dataset) = ctx.dataset(ctx.group, &namespace, &internal.name_any()) else {
        return Ok(Next::Wait);
    };
    let going = dataset.metadata.deletion_timestamp.is_some()
        || internal.metadata.deletion_timestamp.is_some();
    if going || ctx.is_terminating(&namespace) || ctx.elder(&dataset).is_some() {
        return Ok(Next::Wait);
    }
    let identity = Identity::of(&dataset, ctx.group)?;
    let mut outcome = match validate::run(&internal, &dataset, &identity, &ctx).await {
        Ok(valid) => {
            let found = dereference::run(&valid, &identity, &ctx).await?;
            let built = build::run(&identity, &valid, &found, &ctx);
            apply::run(built, &identity, &ctx).await?
        }
        Err(problem) => apply::Applied::failed(problem),
    };
    let source = source::ask(&outcome, &internal, &identity, &ctx);
    tell_nodes(&mut outcome, &source, &identity, &ctx);
    let write_due = status::update(&internal, &identity, &outcome, &source, &ctx).await?;
    Ok(match write_due {
        Some(rest) => Next::After(rest),
        None if outcome.problem.is_some() => Next::Blocked(OBSTACLE_RECHECK),
        None => source.next(),
    })
}

/// Mounts that exist follow every change; new ones wait while something stands in the way.
fn tell_nodes(
    outcome: &mut apply::Applied,
    source: &source::Answer,
    identity: &Identity,
    ctx: &Context,
) {
    let handle = identity.handle();
    let referrer = identity.referrer();
    ctx.shared.handles.set(&handle, referrer);
    let obstacle = outcome.problem.clone().or_else(|| source.problem());
    let refusal = obstacle.map(|problem| Failure {
        reason: problem.reason,
        message: problem.message,
    });
    match (outcome.node_config.take(), refusal) {
        (Some(config), refusal) => ctx.shared.nodes.publish(config, refusal),
        (None, Some(refusal)) => ctx.shared.nodes.refuse(&handle, refusal),
        (None, None) => {}
    }
}

/// What is left to do at the source before a Dataset goes: nothing, or what it waits for.
///
/// # Errors
/// What has to be tried again.
pub(super) async fn last_tasks(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<(), Problem>, ReconcileError> {
    source::empty(dataset, identity, ctx).await
}
