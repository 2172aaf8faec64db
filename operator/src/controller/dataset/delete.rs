use std::time::Duration;

use dlf_core::{
    api::{Dataset, DatasetInternal},
    condition::{ConditionType, Finding},
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{finalizer, internal, last_tasks};
use crate::controller::{
    Context, Next, cache,
    error::{Doing, Problem, ReconcileError},
    names::Identity,
    owned::ObjectKey,
    status::{StatusPart, apply, complete},
    usage::{self, in_use},
};

/// First look after a step that waits: watches wake the next one, but for what they do not show.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Kubernetes lets claim and volume go within a second or two, one after the other.
const STUCK_SECONDS: i64 = 10;

/// Takes everything away, in order: pods gone, tasks, DatasetInternal, claim and volume, what
/// consumers read, what nodes read, the finalizer.
pub(super) async fn run(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Next, ReconcileError> {
    if !finalizer::is_on(dataset) {
        ctx.shared.forget(&identity.handle());
        return Ok(Next::Wait);
    }
    let users = usage::users_of(dataset, identity, ctx);
    let users = usage::that_exist(users, &identity.namespace, ctx).await?;
    let waiting = if users.is_empty() {
        last_tasks::run(dataset, identity, ctx).await?.err()
    } else {
        Some(Problem::pending("InUse", in_use(&users).message))
    };
    if let Some(waiting) = waiting {
        report(dataset, &waiting, ctx).await?;
        return Ok(Next::Blocked(LOOK_AGAIN));
    }
    if let Some(remaining) = remove_all(identity, ctx).await? {
        if is_stuck(dataset, Timestamp::now()) {
            report(dataset, &remaining, ctx).await?;
        }
        return Ok(Next::Blocked(LOOK_AGAIN));
    }
    finalizer::remove(dataset, identity, ctx).await?;
    Ok(Next::Wait)
}

/// Whether the deletion takes longer than one does that nothing holds up.
fn is_stuck(dataset: &Dataset, now: Timestamp) -> bool {
    let since = dataset.metadata.deletion_timestamp.as_ref();
    since.is_some_and(|since| {
        now.duration_since(since.0) >= SignedDuration::from_secs(STUCK_SECONDS)
    })
}

/// Takes away what a Dataset made before it was known to be the younger of two of one name, unless
/// pods use it: of the two only one makes anything.
pub(super) async fn give_way(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    if finalizer::is_on(dataset)
        && usage::users_of(dataset, identity, ctx).is_empty()
        && remove_all(identity, ctx).await?.is_none()
    {
        finalizer::remove(dataset, identity, ctx).await?;
    }
    Ok(())
}

/// One layer after the other; gives what is still going, and why.
async fn remove_all(identity: &Identity, ctx: &Context) -> Result<Option<Problem>, ReconcileError> {
    let writer = &ctx.shared.writer;
    let remove = async |key: &ObjectKey| {
        writer
            .remove(key, &identity.uid)
            .await
            .doing("deleting what the Dataset made")
    };
    if !cache::remove_all(identity, ctx).await? {
        let what = "objects of its cache";
        return Ok(Some(Problem::pending(
            "Deleting",
            format!(
                "{what} in namespace {} were deleted and are still there: {FOREIGN_FINALIZER}",
                ctx.shared.caches_namespace
            ),
        )));
    }
    if !internal::remove(identity, ctx).await? {
        return Ok(Some(remains(
            DatasetInternal::KIND,
            &identity.name,
            FOREIGN_FINALIZER,
        )));
    }
    for (key, why) in [
        (identity.claim(), CLAIM_HELD),
        (identity.volume(), VOLUME_HELD),
    ] {
        if !remove(&key).await? {
            return Ok(Some(remains(&key.kind.resource().kind, &key.name, why)));
        }
    }
    let handle = identity.handle();
    ctx.shared.nodes.withdraw(&handle);
    ctx.shared.handles.remove(&handle);
    ctx.shared.tasks.forget(&handle.as_str().into());
    let mut waiting = None;
    for key in [
        identity.config_map(),
        identity.consumer_secret(),
        identity.inline_keys(),
        identity.resolved_secret(&ctx.shared.namespace),
    ] {
        if !remove(&key).await? {
            let kind = key.kind.resource().kind;
            waiting.get_or_insert_with(|| remains(&kind, &key.name, FOREIGN_FINALIZER));
        }
    }
    if waiting.is_none() {
        ctx.shared.references.set(&identity.referrer(), []);
        ctx.shared.forget(&handle);
    }
    Ok(waiting)
}

/// Why an object that was deleted is still there, and the way out.
const CLAIM_HELD: &str = "a pod that mounts it is still on its node, finished or on its way out; `kubectl describe pvc` \
     lists it under Used By, and deleting that pod (with --force, if its node is gone for good) frees it";
const VOLUME_HELD: &str = "Kubernetes lets it go within seconds of its claim; if it stays, a finalizer of somebody else \
     holds it: look at its metadata.finalizers";
const FOREIGN_FINALIZER: &str = "a finalizer that is not the operator's holds it: look at its metadata.finalizers, and at whoever put it there";

fn remains(kind: &str, name: &str, why: &str) -> Problem {
    Problem::pending(
        "Deleting",
        format!("{kind} {name} was deleted and is still there: {why}"),
    )
}

async fn report(dataset: &Dataset, waiting: &Problem, ctx: &Context) -> Result<(), ReconcileError> {
    let before = StatusPart::Dataset.read(dataset);
    let deleting = Finding::new(ConditionType::Ready, false, "Deleting", &waiting.message);
    let generation = dataset.metadata.generation;
    let after = complete(&before, before.clone(), &[deleting], generation);
    apply(dataset, StatusPart::Dataset, &after, ctx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deletion_says_what_holds_it_up_once_it_takes_longer_than_usual() {
        let dataset: Dataset = serde_json::from_value(json!({
            "metadata": { "name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z" },
        }))
        .unwrap();
        let at = |time: &str| time.parse().unwrap();
        assert!(!is_stuck(&dataset, at("2026-01-01T00:00:03Z")));
        assert!(is_stuck(&dataset, at("2026-01-01T00:00:10Z")));
        assert!(!is_stuck(&Dataset::default(), at("2026-01-01T00:00:10Z")));
        let claim = remains("PersistentVolumeClaim", "books", CLAIM_HELD).message;
        assert!(
            claim.contains("PersistentVolumeClaim books") && claim.contains("Used By"),
            "{claim}"
        );
    }
}
