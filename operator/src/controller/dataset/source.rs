//! What the source says for itself, through the workers' tasks.

use std::time::Duration;

use dlf_core::{
    api::{Dataset, DatasetStatus},
    condition::{ConditionType, Finding, Truth},
    plugin::{StoragePlan, Task, Volume},
};
use dlf_wire::{
    dataset::v1::Origin,
    nodes::v1::{EmptyBucket, EnsureBucket, Failure, ProbeNfs, ProbeObjectStore, task},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    apply::{Applied, Planned},
    internal::is_ours,
};
use crate::{
    controller::{Context, Next, error::Problem, names::Identity, owned::fingerprint},
    tasks::{Freshness, Outcome, TaskSpec},
};

/// How long a source's last answer is good for, and how long one that failed is left alone.
const FRESH: Freshness = Freshness {
    done: Duration::from_mins(10),
    failed: Duration::from_secs(20),
};
/// What was done once for a dataset and its keys is done.
pub(super) const FOR_GOOD: Freshness = Freshness {
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
    /// It answered as it should; or all but that it takes nothing from these keys.
    Reachable(Option<Failure>),
    /// It did not.
    Failed(Failure),
}

impl Answer {
    /// What the answer means for pods: data cannot be had, so a pod would hang or fail.
    pub(super) fn problem(&self) -> Option<Problem> {
        match self {
            Self::NotAsked | Self::Reachable(_) => None,
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
            Self::Reachable(_) => {
                Some(Finding::new(kind, true, "Reachable", "the source answered"))
            }
            Self::Failed(failure) => {
                Some(Finding::new(kind, false, &failure.reason, &failure.message))
            }
        }
    }

    /// That pods cannot write, although they can read.
    pub(super) fn refusal(&self) -> Option<Finding> {
        let Self::Reachable(Some(why)) = self else {
            return None;
        };
        let kind = ConditionType::WritesRefused;
        Some(Finding::new(kind, true, &why.reason, &why.message))
    }

    /// What the status has of the source's last answer to this very spec: results of tasks are not
    /// kept when the operator changes, and what was true a moment ago is until it is asked again.
    fn remembered(status: Option<&DatasetStatus>, generation: Option<i64>) -> Option<Self> {
        let last = |kind: ConditionType| {
            let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
            conditions
                .find(|last| last.observed_generation == generation && last.type_ == kind.as_str())
        };
        let failure = |last: &Condition| Failure::new(last.reason.clone(), last.message.clone());
        let reachable = last(ConditionType::SourceReachable)?;
        match reachable.status.as_str() {
            "True" => Some(Self::Reachable(
                last(ConditionType::WritesRefused).map(failure),
            )),
            "False" => Some(Self::Failed(failure(reachable))),
            _ => None,
        }
    }

    /// When to ask again, unless something changes before.
    pub(super) fn next(&self) -> Next {
        match self {
            Self::NotAsked | Self::Reachable(_) => Next::After(FRESH.done),
            Self::Waiting | Self::NoWorker | Self::Failed(_) => Next::Blocked(FRESH.failed),
        }
    }
}

/// What is said where nobody can ask the source.
pub(super) const NO_WORKER: &str = "no worker is connected to the operator, so nobody can ask the source; look at Deployment \
                         dlf-worker in the operator's namespace";

/// Has the planned tasks done one after the other, and gives the first answer that is not good;
/// while it is not there, the one before it.
pub(super) fn ask(
    applied: &Applied,
    dataset: &Dataset,
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
    let before = match &applied.internal {
        // Its source is another's to edit.
        Some(internal) if !is_ours(internal) => {
            Answer::remembered(internal.status.as_ref(), internal.metadata.generation)
        }
        _ => Answer::remembered(dataset.status.as_ref(), dataset.metadata.generation),
    };
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
        let Some(kind) = wire_task(task, &planned.origins, is_written(&planned.plan), identity)
        else {
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
            Some(Outcome::Done { writes_refused, .. }) => Answer::Reachable(writes_refused),
            Some(Outcome::Failed(failure)) => Answer::Failed(failure),
            None => Answer::Waiting,
        };
        if !matches!(answer, Answer::Reachable(_)) {
            break;
        }
    }
    answer
}

/// A task of this dataset, with these keys.
pub(in crate::controller) fn spec(
    kind: task::Kind,
    identity: &Identity,
    origins: &[Origin],
) -> TaskSpec {
    let keys: Vec<_> = origins
        .iter()
        .flat_map(|origin| &origin.keys)
        .map(|keys| {
            (
                &keys.access_key_id,
                &keys.secret_access_key,
                &keys.session_token,
            )
        })
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
pub(super) fn wire_task(
    task: &Task,
    origins: &[Origin],
    writes: bool,
    identity: &Identity,
) -> Option<task::Kind> {
    let origin = || origins.last().cloned();
    Some(match task {
        Task::ProbeNfs { server, share } => task::Kind::ProbeNfs(ProbeNfs {
            server: server.clone(),
            share: share.clone(),
        }),
        Task::ProbeObjectStore(_) => task::Kind::ProbeObjectStore(ProbeObjectStore {
            origin: Some(origin()?),
            writes,
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

/// Whether pods may write to what is mounted.
fn is_written(plan: &StoragePlan) -> bool {
    matches!(&plan.volume, Volume::Mount(mount) if !mount.readonly)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            Some(Answer::Reachable(None))
        ));
        let mut unwritable = status("True", 2);
        let refused = status("True", 2).conditions.remove(0);
        unwritable.conditions.push(Condition {
            type_: "WritesRefused".to_owned(),
            reason: "AccessDenied".to_owned(),
            ..refused
        });
        let refused = remembered(&unwritable).and_then(|answer| answer.refusal());
        assert_eq!(refused.unwrap().reason, "AccessDenied");
        let failed = remembered(&status("False", 2));
        assert!(matches!(failed, Some(Answer::Failed(why)) if why.reason == "NoSuchBucket"));
        assert!(remembered(&status("True", 1)).is_none(), "another spec");
        assert!(remembered(&status("Unknown", 2)).is_none());
        assert!(Answer::remembered(None, Some(2)).is_none());
    }
}
