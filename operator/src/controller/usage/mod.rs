//! News of use: who uses a dataset, where, and how much. It comes for thousands at once, so it has a queue
//! and a pace of its own, and writes a part of the status that nothing else does.

mod figures;
mod users;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dlf_core::api::{Dataset, DatasetStatus};
use k8s_openapi::jiff::Timestamp;

use self::figures::{Due, FIGURES_INTERVAL, Seen, due, fresh};
pub(super) use self::users::{in_use, of as users_of, that_exist};
use super::{
    Context, Next,
    error::ReconcileError,
    names::Identity,
    status::{StatusPart, apply, complete},
};
use crate::nodes::registry::Counters;

/// Writes how a Dataset is used, when that is due.
///
/// # Errors
/// What has to be tried again.
pub(super) async fn reconcile(
    dataset: Arc<Dataset>,
    ctx: Arc<Context>,
) -> Result<Next, ReconcileError> {
    let identity = Identity::of(&dataset, ctx.group)?;
    let (shared, handle) = (&ctx.shared, identity.handle());
    let going = dataset.metadata.deletion_timestamp.is_some();
    if going || ctx.elder(&dataset).is_some() {
        // It waits for its pods to go.
        let name = (identity.namespace.clone(), identity.name.clone());
        shared.findings.wake(&name);
    }
    let ago = if going {
        Duration::MAX
    } else {
        // From here on news of its use leads here.
        shared.handles.set(&handle, identity.referrer());
        shared.usage_written.elapsed(&handle)
    };
    let before = StatusPart::Usage.read(&*dataset);
    let seen = seen(&dataset, &before, &identity, &ctx);
    let generation = dataset.metadata.generation;
    match due(&before, generation, &seen, ago) {
        Due::In(rest) => return Ok(Next::After(rest)),
        Due::Never => {}
        Due::Now => {
            let after = DatasetStatus {
                usage: Some(fresh(before.usage.as_ref(), &seen, Timestamp::now())),
                ..DatasetStatus::default()
            };
            let after = complete(&before, after, &[seen.in_use], generation);
            let written = apply(&*dataset, StatusPart::Usage, &after, &ctx).await?;
            if written && !going {
                shared.usage_written.restart(&handle);
            }
        }
    }
    // Nodes do not say each time that bytes have moved.
    Ok(match seen.nodes {
        0 => Next::Wait,
        _ => Next::After(FIGURES_INTERVAL),
    })
}

fn seen(dataset: &Dataset, before: &DatasetStatus, identity: &Identity, ctx: &Context) -> Seen {
    let (handle, nodes) = (identity.handle(), &ctx.shared.nodes);
    let users = users::of(dataset, identity, ctx);
    let mounted = nodes.read(|nodes| nodes.consumers(&handle));
    let on: BTreeSet<&str> = mounted.iter().map(|one| one.node.as_ref()).collect();
    let written = before.usage.as_ref().map(|usage| Counters {
        bytes_read: usage.bytes_read,
        cached_bytes_read: usage.bytes_read_from_cache,
        bytes_written: usage.bytes_written,
        ..Counters::default()
    });
    Seen {
        consumers: users.len(),
        nodes: on.len(),
        done: nodes.update(|nodes| nodes.lifetime(&handle, written.unwrap_or_default())),
        in_use: in_use(&users),
    }
}
