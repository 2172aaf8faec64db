//! What the source says for itself, through the workers' tasks.

use std::time::Duration;

use dlf_core::{
    api::{Dataset, DatasetInternal, DatasetStatus},
    condition::{ConditionType, Finding, Truth},
    names::LABEL_REMOVE_ON_DELETE,
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
    apply::{Applied, Planned},
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
    /// There is nobody who could ask it.
    NoWorker,
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
            Self::NoWorker => Some(Problem::pending("NoWorker", NO_WORKER)),
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
            Self::NoWorker => Some(Finding::new(kind, Truth::Unknown, "NoWorker", NO_WORKER)),
            Self::Reachable => Some(Finding::new(kind, true, "Reachable", "the source answered")),
            Self::Failed(failure) => {
                Some(Finding::new(kind, false, &failure.reason, &failure.message))
            }
        }
    }

    /// What the status has of the source's last answer to this very spec: results of tasks are not
    /// kept when the operator changes, and what was true a moment ago is until it is asked again.
    fn remembered(status: Option<&DatasetStatus>, generation: Option<i64>) -> Option<Self> {
        let conditions = status.into_iter().flat_map(|status| &status.conditions);
        let last = conditions
            .filter(|last| last.observed_generation == generation)
            .find(|last| last.type_ == ConditionType::SourceReachable.as_str())?;
        match last.status.as_str() {
            "True" => Some(Self::Reachable),
            "False" => Some(Self::Failed(Failure {
                reason: last.reason.clone(),
                message: last.message.clone(),
            })),
            _ => None,
        }
    }

    /// When to ask again, unless something changes before.
    pub(super) fn next(&self) -> Next {
        match self {
            Self::NotAsked | Self::Reachable => Next::After(FRESH.done),
            Self::Waiting | Self::NoWorker | Self::Failed(_) => Next::Blocked(FRESH.failed),
        }
    }
}

/// What is said where nobody can ask the source.
const NO_WORKER: &str = "no worker is connected to the operator, so nobody can ask the source; look at Deployment \
                         dlf-worker in the operator's namespace";

/// Has the planned tasks done one after the other, and gives the first answer that is not good;
/// while it is not there, the one before it.
pub(super) fn ask(
    applied: &Applied,
    internal: &DatasetInternal,
    identity: &Identity,
    ctx: &Context,
) -> Answer {
    let Some(planned) = &applied.planned else {
        return Answer::NotAsked;
    };
    let answer = first_bad(planned, identity, ctx);
    if !matches!(answer, Answer::Waiting) {
        return answer;
    }
    let before = Answer::remembered(internal.status.as_ref(), internal.metadata.generation);
    before.unwrap_or_else(|| {
        if ctx.shared.tasks.workers() == 0 {
            Answer::NoWorker
        } else {
            Answer::Waiting
        }
    })
}

fn first_bad(planned: &Planned, identity: &Identity, ctx: &Context) -> Answer {
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
        let wanted = spec(kind, identity, &planned.origins);
        let progress = ctx.shared.tasks.want(wanted, fresh);
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
    let labels = dataset.labels();
    let Ok(mut source) = Source::parse(&internal.spec, labels, &identity.namespace) else {
        return Ok(Ok(()));
    };
    if let Source::ObjectStore(bucket) = &mut source {
        bucket.remove_on_delete = wants_removal(dataset);
    }
    let planned = validate::plan(&internal, labels, identity, &source, Intent::Delete, ctx);
    let Ok(plan) = planned.await else {
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
            None => return Ok(Err(not_emptied(&missing.reason, &missing.message))),
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
        Some(Outcome::Failed(failure)) => Err(not_emptied(&failure.reason, &failure.message)),
        None if ctx.shared.tasks.workers() == 0 => Err(not_emptied("NoWorker", NO_WORKER)),
        None => Err(Problem::pending(
            "EmptyingBucket",
            format!(
                "the bucket is being emptied, {} objects so far",
                progress.objects_done
            ),
        )),
    }
}

/// Whether the Dataset, as it is now, wants its bucket to go with it: who has changed their mind
/// about a source that cannot be reached is not held by what they said before.
fn wants_removal(dataset: &Dataset) -> bool {
    let local = dataset.spec.local.as_ref();
    let key = local.and_then(|local| local.get("removeOnDelete"));
    let label = dataset.labels().get(LABEL_REMOVE_ON_DELETE);
    [key, label]
        .into_iter()
        .flatten()
        .any(|value| value == "true")
}

fn not_emptied(reason: &str, why: &str) -> Problem {
    Problem::pending(
        reason,
        format!(
            "the bucket is to be emptied and deleted with the Dataset and cannot be: {why}. This is tried again; to \
             keep the bucket and let the Dataset go, remove its label remove-on-delete and the key removeOnDelete of \
             spec.local"
        ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn dataset(label: &Value, key: &Value) -> Dataset {
        serde_json::from_value(json!({
            "metadata": { "name": "x", "labels": { "remove-on-delete": label } },
            "spec": { "local": { "type": "COS", "removeOnDelete": key } },
        }))
        .unwrap()
    }

    #[test]
    fn a_bucket_goes_for_as_long_as_label_or_key_say_so() {
        for (label, key, expected) in [
            ("true", "false", true),
            ("false", "true", true),
            ("false", "false", false),
            ("", "", false),
        ] {
            let dataset = dataset(&json!(label), &json!(key));
            assert_eq!(wants_removal(&dataset), expected, "{label} {key}");
        }
    }

    #[test]
    fn a_bucket_that_cannot_be_emptied_says_how_to_go_on_without() {
        let text = not_emptied("Unreachable", "nobody answers at s3:443").message;
        for part in [
            "nobody answers at s3:443",
            "remove-on-delete",
            "removeOnDelete",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    fn status(truth: &str, generation: i64) -> DatasetStatus {
        serde_json::from_value(json!({ "conditions": [{
            "type": "SourceReachable", "status": truth, "reason": "NoSuchBucket", "message": "m",
            "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]}))
        .unwrap()
    }

    #[test]
    fn a_new_leader_takes_the_last_answer_to_the_same_spec_until_there_is_another() {
        let remembered = |status: &DatasetStatus| Answer::remembered(Some(status), Some(2));
        assert!(matches!(
            remembered(&status("True", 2)),
            Some(Answer::Reachable)
        ));
        let failed = remembered(&status("False", 2));
        assert!(matches!(failed, Some(Answer::Failed(why)) if why.reason == "NoSuchBucket"));
        assert!(remembered(&status("True", 1)).is_none(), "another spec");
        assert!(remembered(&status("Unknown", 2)).is_none());
        assert!(Answer::remembered(None, Some(2)).is_none());
    }
}
