//! What a user wrote becomes a DatasetInternal and a status.

mod apply;
mod build;
mod delete;
mod dereference;
mod status;
mod usage;
mod users;
mod validate;

use std::{sync::Arc, time::Duration};

use dlf_core::api::Dataset;

use self::usage::FIGURES_INTERVAL;
use super::{Context, Next, cache, error::ReconcileError, names::Identity};

/// Long enough to cost nothing, short enough that nothing stays wrong for a day.
const RESYNC: Duration = Duration::from_mins(30);

/// First look after an obstacle: it may be an object that is not ours, and those are not watched.
const OBSTACLE_RECHECK: Duration = Duration::from_secs(15);

/// Brings what a Dataset makes to what it says.
///
/// # Errors
/// What has to be tried again.
pub(super) async fn reconcile(
    dataset: Arc<Dataset>,
    ctx: Arc<Context>,
) -> Result<Next, ReconcileError> {
    let identity = Identity::of(&dataset, ctx.group)?;
    let _lane = ctx
        .shared
        .lanes
        .enter(&identity.namespace, &identity.name)
        .await;
    if dataset.metadata.deletion_timestamp.is_some() {
        return delete::run(&dataset, &identity, &ctx).await;
    }
    let found = dereference::run(&dataset, &identity, &ctx);
    if found.namespace_terminating {
        return Ok(Next::Wait);
    }
    if found.elder.is_some() {
        delete::give_way(&dataset, &identity, &found, &ctx).await?;
    }
    let front = cache::front(&dataset, &identity, &ctx);
    let outcome = match validate::run(&dataset, &identity, &found, ctx.shared.plugins.config()) {
        Ok(valid) => {
            let built = build::run(&dataset, &identity, &valid, front.endpoint.as_deref());
            apply::run(built, &dataset, &identity, front.external.as_deref(), &ctx).await?
        }
        Err(problem) => Err(problem),
    };
    let is_mounted = found.nodes > 0;
    let blocked = outcome.is_err();
    let write_due = status::update(&dataset, &identity, &found, &front, outcome, &ctx).await?;
    Ok(match write_due {
        Some(rest) => Next::After(rest),
        None if blocked => Next::Blocked(OBSTACLE_RECHECK),
        // Bytes that move wake nobody.
        None if is_mounted => Next::After(FIGURES_INTERVAL),
        None => Next::After(RESYNC),
    })
}
