use std::time::Duration;

use dlf_core::{
    api::{Dataset, DatasetInternal},
    condition::{ConditionType, Finding},
    names::{FINALIZER, LABEL_DATASET_UID},
};
use kube::{
    ResourceExt,
    api::{Api, DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use super::dereference;
use crate::controller::{
    Context, Next,
    error::{Doing, Problem, ReconcileError},
    internal,
    names::Identity,
    status::{in_use, write},
};

/// First look after a step that waits: watches wake the next one, but for what they do not show.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Takes everything away, in order: pods gone, tasks, DatasetInternal, claim and volume, what
/// consumers read, what nodes read, the finalizer.
pub(super) async fn run(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Next, ReconcileError> {
    if !dataset
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
    {
        return Ok(Next::Wait);
    }
    let found = dereference::run(identity, ctx);
    if !found.users.is_empty() {
        let waiting = Problem::pending("InUse", in_use(&found.users).message);
        report(dataset, identity, &found, &waiting, ctx).await?;
        return Ok(Next::Blocked(LOOK_AGAIN));
    }
    if let Err(waiting) = internal::last_tasks(dataset, identity, ctx).await? {
        report(dataset, identity, &found, &waiting, ctx).await?;
        return Ok(Next::Blocked(LOOK_AGAIN));
    }
    if !remove_all(identity, ctx).await? {
        return Ok(Next::Blocked(LOOK_AGAIN));
    }
    ctx.shared.references.set(&identity.referrer(), []);
    remove_finalizer(dataset, identity, ctx).await?;
    Ok(Next::Wait)
}

/// One layer after the other; false while one is still going.
async fn remove_all(identity: &Identity, ctx: &Context) -> Result<bool, ReconcileError> {
    let writer = &ctx.shared.writer;
    let remove = async |key| {
        writer
            .remove(&key, &identity.uid)
            .await
            .doing("deleting what the Dataset made")
    };
    if !remove_internal(identity, ctx).await? || !remove(identity.claim()).await? {
        return Ok(false);
    }
    if !remove(identity.volume()).await? {
        return Ok(false);
    }
    ctx.shared.nodes.withdraw(&identity.handle());
    ctx.shared.handles.remove(&identity.handle());
    ctx.shared.tasks.forget(&identity.handle().into());
    let mut gone = remove(identity.config_map()).await?;
    gone &= remove(identity.consumer_secret()).await?;
    gone &= remove(identity.inline_keys()).await?;
    gone &= remove(identity.resolved_secret(&ctx.shared.namespace)).await?;
    Ok(gone)
}

async fn remove_internal(identity: &Identity, ctx: &Context) -> Result<bool, ReconcileError> {
    let api: Api<DatasetInternal> = Api::namespaced_with(
        ctx.shared.client.clone(),
        &identity.namespace,
        &identity.group,
    );
    let Some(found) = api
        .get_opt(&identity.name)
        .await
        .doing("looking for the DatasetInternal")?
    else {
        return Ok(true);
    };
    if found
        .labels()
        .get(LABEL_DATASET_UID)
        .is_some_and(|uid| *uid != identity.uid)
    {
        return Ok(true);
    }
    match api.delete(&identity.name, &DeleteParams::default()).await {
        Ok(outcome) => Ok(outcome.is_right()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        Err(error) => Err(error).doing("deleting the DatasetInternal"),
    }
}

async fn remove_finalizer(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    let left: Vec<&String> = dataset
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER)
        .collect();
    let patch = json!({ "metadata": { "finalizers": left, "resourceVersion": dataset.resource_version() } });
    let api: Api<Dataset> = Api::namespaced_with(
        ctx.shared.client.clone(),
        &identity.namespace,
        &identity.group,
    );
    match api
        .patch_metadata(
            &identity.name,
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()).doing("removing the finalizer"),
    }
}

async fn report(
    dataset: &Dataset,
    identity: &Identity,
    found: &dereference::Found,
    waiting: &Problem,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    let before = dataset.status.clone().unwrap_or_default();
    let mut findings: Vec<Finding> = vec![Finding::new(
        ConditionType::Ready,
        false,
        "Deleting",
        &waiting.message,
    )];
    findings.push(in_use(&found.users));
    let after = before.clone();
    write(
        dataset,
        &identity.group,
        before,
        after,
        &findings,
        &ctx.shared.client,
    )
    .await?;
    Ok(())
}
