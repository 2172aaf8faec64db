//! What the source says for itself, through the workers' tasks.

use std::time::Duration;

use dlf_core::{
    api::Dataset,
    condition::{ConditionType, Finding, Truth},
    plugin::{Intent, Task},
    source::Source,
};
use dlf_wire::{
    dataset::v1::Origin,
    nodes::v1::{EmptyBucket, EnsureBucket, Failure, ProbeNfs, ProbeObjectStore, task},
};
use kube::ResourceExt;
use kube::runtime::events::EventType;

use super::{
    apply::Applied,
    dereference::{self, origins},
    validate,
};
use crate::{
    controller::{
        Context, Next,
        error::{Problem, ReconcileError},
        events,
        names::Identity,
        owned::fingerprint,
    },
    tasks::{Freshness, Outcome, Progress, TaskSpec},
};

/// How long a source's last answer is good for, and how long one that failed is left alone.
const FRESH: Freshness = Freshness {
    done: Duration::from_mins(10),
    failed: Duration::from_secs(20),
};
/// What was done once for a dataset and its keys is done.
const FOR_GOOD: Freshness = Freshness {
    done: Duration::MAX,
    failed: Duration::from_secs(20),
};

/// What the source last said.
pub(super) enum Answer {
    /// Nothing was asked: there is nothing to ask, or something else stands in the way.
    NotAsked,
    /// It was asked and has not answered yet.
    Waiting,
    /// It answered as it should.
    Reachable,
    /// It did not.
    Failed(Failure),
}

impl Answer {
    /// What the answer means for pods: data cannot be had, so a pod would hang or fail.
    pub(super) fn problem(&self) -> Option<Problem> {
        match self {
            Self::NotAsked | Self::Reachable => None,
            Self::Waiting => Some(Problem::pending(
                "CheckingSource",
                "the source is being asked whether it is there",
            )),
            Self::Failed(failure) => Some(Problem::pending(&failure.reason, &failure.message)),
        }
    }

    pub(super) fn finding(&self) -> Option<Finding> {
        let kind = ConditionType::SourceReachable;
        match self {
            Self::NotAsked => None,
            Self::Waiting => Some(Finding::new(
                kind,
                Truth::Unknown,
                "CheckingSource",
                "not answered yet",
            )),
            Self::Reachable => Some(Finding::new(kind, true, "Reachable", "the source answered")),
            Self::Failed(failure) => {
                Some(Finding::new(kind, false, &failure.reason, &failure.message))
            }
        }
    }

    /// When to ask again, unless something changes before.
    pub(super) fn next(&self) -> Next {
        match self {
            Self::NotAsked | Self::Reachable => Next::After(FRESH.done),
            Self::Waiting | Self::Failed(_) => Next::Blocked(FRESH.failed),
        }
    }
}

/// Has the planned tasks done one after the other, and gives the first answer that is not good.
pub(super) fn ask(applied: &Applied, identity: &Identity, ctx: &Context) -> Answer {
    let Some(planned) = &applied.planned else {
        return Answer::NotAsked;
    };
    let mut answer = Answer::NotAsked;
    for task in &planned.plan.tasks {
        let Some(kind) = wire_task(task, &planned.origins, identity) else {
            return Answer::NotAsked;
        };
        let fresh = if matches!(task, Task::EnsureBucket(_)) {
            FOR_GOOD
        } else {
            FRESH
        };
        let progress = ctx
            .shared
            .tasks
            .want(spec(kind, identity, &planned.origins), fresh);
        answer = match progress.latest.map(|finished| finished.outcome) {
            Some(Outcome::Done { .. }) => Answer::Reachable,
            Some(Outcome::Failed(failure)) => Answer::Failed(failure),
            None => Answer::Waiting,
        };
        if !matches!(answer, Answer::Reachable) {
            break;
        }
    }
    answer
}

fn spec(kind: task::Kind, identity: &Identity, origins: &[Origin]) -> TaskSpec {
    let keys: Vec<_> = origins
        .iter()
        .flat_map(|origin| &origin.keys)
        .map(|keys| (&keys.access_key_id, &keys.secret_access_key))
        .collect();
    TaskSpec {
        dataset: identity.handle().into(),
        namespace: identity.namespace.clone(),
        name: identity.name.clone(),
        kind,
        key_version: fingerprint(&serde_json::json!(keys)),
    }
}

/// The task as a worker takes it; none while its keys are missing.
fn wire_task(task: &Task, origins: &[Origin], identity: &Identity) -> Option<task::Kind> {
    let origin = || origins.last().cloned();
    Some(match task {
        Task::ProbeNfs { server, share } => task::Kind::ProbeNfs(ProbeNfs {
            server: server.clone(),
            share: share.clone(),
        }),
        Task::ProbeObjectStore(_) => task::Kind::ProbeObjectStore(ProbeObjectStore {
            origin: Some(origin()?),
        }),
        Task::EnsureBucket(_) => task::Kind::EnsureBucket(EnsureBucket {
            origin: Some(origin()?),
            owner: identity.uid.clone(),
        }),
        Task::EmptyBucket(_) => task::Kind::EmptyBucket(EmptyBucket {
            origin: Some(origin()?),
            owner: identity.uid.clone(),
        }),
    })
}

/// Empties a bucket that goes with its Dataset; Ok when there is nothing (more) to do.
pub(super) async fn empty(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Result<Result<(), Problem>, ReconcileError> {
    let Some(internal) = ctx.internal(&identity.namespace, &identity.name) else {
        return Ok(Ok(()));
    };
    // What could not be read or planned was never made either.
    let Ok(source) = Source::parse(&internal.spec, dataset.labels(), &identity.namespace) else {
        return Ok(Ok(()));
    };
    let Ok(plan) = validate::plan(&internal, identity, &source, Intent::Delete, ctx).await else {
        return Ok(Ok(()));
    };
    if plan.tasks.is_empty() {
        return Ok(Ok(()));
    }
    let secrets = dereference::secrets(&plan, identity, ctx).await?;
    let resolved: Result<Vec<Origin>, Problem> = origins(&plan)
        .iter()
        .map(|origin| dereference::resolve(origin, &secrets))
        .collect();
    let origins = match resolved {
        Ok(origins) => origins,
        Err(missing) => match dereference::kept_origins(identity, ctx).await? {
            Some(kept) => kept,
            None => return Ok(Err(missing)),
        },
    };
    for task in &plan.tasks {
        let Some(kind) = wire_task(task, &origins, identity) else {
            continue;
        };
        let progress = ctx
            .shared
            .tasks
            .want(spec(kind, identity, &origins), FOR_GOOD);
        if let Err(waiting) = emptied(progress, dataset, ctx).await {
            return Ok(Err(waiting));
        }
    }
    Ok(Ok(()))
}

async fn emptied(progress: Progress, dataset: &Dataset, ctx: &Context) -> Result<(), Problem> {
    match progress.latest.map(|finished| finished.outcome) {
        Some(Outcome::Done { deleted: true, .. }) => Ok(()),
        Some(Outcome::Done { deleted: false, .. }) => {
            let note = "the bucket is kept: it was not made by `provision` for this Dataset, so remove-on-delete does \
                        not apply to it";
            events::publish(dataset, EventType::Normal, "BucketKept", note, ctx).await;
            Ok(())
        }
        // A bucket that is gone already is as empty as can be.
        Some(Outcome::Failed(failure)) if failure.reason == "NoSuchBucket" => Ok(()),
        Some(Outcome::Failed(failure)) => Err(Problem::pending(
            failure.reason,
            format!(
                "emptying the bucket before it is deleted: {}; without the label remove-on-delete the bucket is kept",
                failure.message
            ),
        )),
        None => Err(Problem::pending(
            "EmptyingBucket",
            format!(
                "the bucket is being emptied, {} objects so far",
                progress.objects_done
            ),
        )),
    }
}
