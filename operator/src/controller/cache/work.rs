//! What workers do for a cache, and what came of it.

use std::time::{Duration, Instant};

use dlf_core::{
    api::{CacheStatus, WarmupStatus, quantity_bytes},
    plugin::{
        CacheStats, CacheTask, CachingPlan, EndpointStatus, Observed, PlanError, TaskOutcome,
        TaskResult, Warm,
    },
};
use dlf_wire::{
    dataset::v1::Origin,
    nodes::v1::{self as wire, AskReplicas, Failure, ReplicaAnswer, ReplicaStats, task},
};
use serde_json::json;

use super::{status::steps, validate::Cache};
use crate::{
    controller::{
        Context,
        dataset::{read_through, task_of},
        error::Problem,
        names::Identity,
        owned::fingerprint,
    },
    tasks::{Finished, Freshness, Outcome, Progress, TaskType},
};

/// How old what replicas say may be.
pub(super) const ASKED_EVERY: Duration = Duration::from_secs(30);
const ASKED: Freshness = Freshness {
    done: ASKED_EVERY,
    failed: ASKED_EVERY,
};
/// What was loaded stays loaded. What could not be is tried again after this long, for it reads the source.
const LOADED: Freshness = Freshness {
    done: Duration::MAX,
    failed: Duration::from_mins(5),
};

/// Has workers do what a plan asks for; gives what is known of it, and how loading is to be shown.
/// `last`: what was shown of the cache before.
pub(super) fn run(
    plan: &CachingPlan,
    cache: &Cache,
    source: Result<Origin, Problem>,
    last: Option<&CacheStatus>,
    identity: &Identity,
    ctx: &Context,
) -> (Observed, Option<WarmupStatus>) {
    let status = replicas(plan, identity, ctx);
    let Some(CacheTask::Warm(warm)) = plan.tasks.first() else {
        give_up(TaskType::Warm, identity, ctx);
        let observed = Observed {
            status,
            ..Observed::default()
        };
        return (observed, None);
    };
    let of = fingerprint(&json!([cache.place.name, warm.paths]));
    let last = last.and_then(|last| last.warmup.as_ref());
    let (result, shown) = match (
        last.filter(|last| last.of == of && last.state == DONE),
        source,
    ) {
        // Also by a leader before this one, whose tasks nobody knows any more.
        (Some(done), _) => (finished(warm, done), done.clone()),
        (None, Ok(source)) => {
            let task = loading(warm, read_through(&plan.origins, &source));
            let task = task_of(task, identity, &[source]);
            judged(warm, of, ctx.shared.tasks.want(task, LOADED))
        }
        (None, Err(missing)) => judged(warm, of, failed(missing)),
    };
    let observed = Observed {
        status,
        results: vec![result],
        ..Observed::default()
    };
    (observed, Some(shown))
}

/// No work is wanted of a cache that is not.
pub(super) fn stop(identity: &Identity, ctx: &Context) {
    for kind in [TaskType::Warm, TaskType::AskReplicas] {
        give_up(kind, identity, ctx);
    }
}

fn give_up(kind: TaskType, identity: &Identity, ctx: &Context) {
    ctx.shared.tasks.give_up(&identity.handle().into(), kind);
}

/// What the replicas said last.
fn replicas(plan: &CachingPlan, identity: &Identity, ctx: &Context) -> Vec<EndpointStatus> {
    if plan.status_endpoints.is_empty() {
        give_up(TaskType::AskReplicas, identity, ctx);
        return Vec::new();
    }
    let ask = task::Kind::AskReplicas(AskReplicas {
        urls: plan.status_endpoints.clone(),
    });
    let progress = ctx.shared.tasks.want(task_of(ask, identity, &[]), ASKED);
    match progress.latest.map(|finished| finished.outcome) {
        Some(Outcome::Done { replicas, .. }) => replicas.into_iter().map(answered).collect(),
        Some(Outcome::Failed(failure)) => {
            let silent = |endpoint: &String| EndpointStatus {
                endpoint: endpoint.clone(),
                stats: None,
                failure: failure.message.clone(),
            };
            plan.status_endpoints.iter().map(silent).collect()
        }
        None => Vec::new(),
    }
}

fn answered(answer: ReplicaAnswer) -> EndpointStatus {
    let stats = |stats: ReplicaStats| CacheStats {
        version: stats.version,
        used_bytes: stats.used_bytes,
        hit_bytes: stats.hit_bytes,
        miss_bytes: stats.miss_bytes,
        node: stats.node,
    };
    EndpointStatus {
        endpoint: answer.url,
        stats: answer.stats.map(stats),
        failure: answer.failure,
    }
}

/// The task as a worker takes it, with each prefix once and none within another: keys are read in order.
fn loading(warm: &Warm, origins: Vec<Origin>) -> task::Kind {
    let mut prefixes: Vec<String> = warm.paths.clone();
    prefixes.sort();
    prefixes.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
    task::Kind::Warm(wire::Warm {
        origins,
        prefixes,
        start_after: String::new(),
    })
}

/// Loading that cannot begin.
fn failed(missing: Problem) -> Progress {
    let failure = Failure::new(missing.reason, missing.message);
    Progress {
        latest: Some(Finished {
            outcome: Outcome::Failed(failure),
            at: Instant::now(),
        }),
        ..Progress::default()
    }
}

const LOADING: &str = "Loading";
const DONE: &str = "Done";
const FAILED: &str = "Failed";

fn finished(warm: &Warm, shown: &WarmupStatus) -> TaskResult {
    TaskResult {
        task: CacheTask::Warm(warm.clone()),
        objects: shown.objects,
        bytes: quantity_bytes(&shown.loaded).unwrap_or_default(),
        outcome: Some(TaskOutcome::Done),
    }
}

/// How far loading is, for the plugin and for people.
fn judged(warm: &Warm, of: String, progress: Progress) -> (TaskResult, WarmupStatus) {
    let (objects, bytes) = (progress.done.objects, progress.done.bytes);
    let latest = progress.latest.filter(|_| !progress.pending);
    let outcome = latest.map(|latest| match latest.outcome {
        Outcome::Done { .. } => TaskOutcome::Done,
        Outcome::Failed(why) => TaskOutcome::Failed(PlanError::new(why.reason, why.message)),
    });
    let (state, message) = match &outcome {
        None => (LOADING, String::new()),
        Some(TaskOutcome::Done) => (DONE, String::new()),
        Some(TaskOutcome::Failed(why)) => (FAILED, format!("{} ({})", why.message, why.reason)),
    };
    let shown = WarmupStatus {
        state: state.to_owned(),
        objects,
        loaded: steps(bytes),
        of,
        message,
    };
    let result = TaskResult {
        task: CacheTask::Warm(warm.clone()),
        objects,
        bytes,
        outcome,
    };
    (result, shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Amount;

    fn progress(pending: bool, outcome: Option<Outcome>) -> Progress {
        Progress {
            latest: outcome.map(|outcome| Finished {
                outcome,
                at: Instant::now(),
            }),
            pending,
            done: Amount {
                objects: 3,
                bytes: 5 << 30,
            },
        }
    }

    fn refused() -> Outcome {
        Outcome::Failed(Failure::new("AccessDenied", "no"))
    }

    #[test]
    fn loading_is_shown_until_it_has_ended() {
        let warm = Warm::default();
        let of = || "h".to_owned();
        let (result, shown) = judged(&warm, of(), progress(true, None));
        assert_eq!(
            (shown.state.as_str(), shown.loaded.as_str()),
            (LOADING, "5Gi")
        );
        assert_eq!(
            (result.objects, result.bytes, result.outcome),
            (3, 5 << 30, None)
        );
        let (result, shown) = judged(&warm, of(), progress(false, Some(refused())));
        assert_eq!(
            (shown.state.as_str(), shown.message.as_str()),
            (FAILED, "no (AccessDenied)")
        );
        assert!(matches!(result.outcome, Some(TaskOutcome::Failed(_))));
        let (_, again) = judged(&warm, of(), progress(true, Some(refused())));
        assert_eq!(again.state, LOADING, "it is tried again");
    }

    #[test]
    fn a_path_within_another_is_not_loaded_twice() {
        let warm = Warm {
            paths: ["b/", "a/x", "a/", "b/"].map(str::to_owned).to_vec(),
        };
        let task::Kind::Warm(task) = loading(&warm, Vec::new()) else {
            panic!("a warm-up")
        };
        assert_eq!(task.prefixes, ["a/", "b/"]);
        let everything = Warm {
            paths: vec![String::new(), "a/".to_owned()],
        };
        let task::Kind::Warm(task) = loading(&everything, Vec::new()) else {
            panic!("a warm-up")
        };
        assert_eq!(task.prefixes, [""]);
    }
}
