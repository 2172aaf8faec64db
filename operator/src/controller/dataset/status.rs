use std::{sync::Arc, time::Duration};

use dlf_core::{
    api::{Dataset, DatasetInternal, DatasetStatus, PhaseStatus, UsageStatus},
    condition::{ConditionType, Finding},
};
use k8s_openapi::jiff::Timestamp;

use super::{
    dereference::Found,
    usage::{self, Due, Seen},
};
use crate::controller::{
    Context,
    cache::Front,
    error::{Problem, ReconcileError},
    events,
    names::Identity,
    status::{SETTLING, complete, finding_of, in_use, is_settling, write},
};

/// The Dataset's status: what became of its DatasetInternal, or what stands in the way; and how it
/// is used. Gives in how long something is to be written that was not yet.
pub(super) async fn update(
    dataset: &Dataset,
    identity: &Identity,
    found: &Found,
    front: &Front,
    outcome: Result<Arc<DatasetInternal>, Problem>,
    ctx: &Context,
) -> Result<Option<Duration>, ReconcileError> {
    let before = dataset.status.clone().unwrap_or_default();
    let handle = identity.handle();
    let seen = Seen {
        consumers: found.users.len(),
        nodes: found.nodes,
        done: found.done,
        in_use: in_use(&found.users),
    };
    let usage = before.usage.as_ref();
    let last = before
        .conditions
        .iter()
        .find(|last| last.type_ == ConditionType::InUse.as_str());
    let due = usage::due(usage, last, &seen, ctx.shared.usage_noted.ago(&handle));
    let (after, mut findings) = match outcome {
        Ok(internal) => mirrored(&internal),
        Err(problem) => failed(&problem),
    };
    let after = match (&front.external, after.caching.is_some()) {
        // It says so itself, in the DatasetInternal.
        (Some(_), true) => after,
        _ => DatasetStatus {
            caching: Some(front.phase.clone()),
            cache: front.status.clone(),
            ..after
        },
    };
    findings.extend(front.finding.clone());
    let (generation, met) = (dataset.metadata.generation, &ctx.shared.datasets_met);
    if is_settling(&before, generation, &findings, &handle, met) {
        return Ok(Some(SETTLING));
    }
    let with = |usage: Option<UsageStatus>, in_use: Finding| {
        let after = DatasetStatus {
            usage,
            ..after.clone()
        };
        let findings = [findings.as_slice(), &[in_use]].concat();
        complete(&before, after, &findings, generation)
    };
    if due != Due::Now
        && let Some(last) = last.and_then(finding_of)
        && with(before.usage.clone(), last) == before
    {
        return Ok(match due {
            Due::In(rest) => Some(rest),
            Due::Now | Due::Never => None,
        });
    }
    let fresh = usage::fresh(usage, &seen, Timestamp::now());
    let after = with(Some(fresh), seen.in_use);
    let client = &ctx.shared.client;
    if write(dataset, &identity.group, &before, &after, client).await? {
        ctx.shared.usage_noted.now(&handle);
        events::of_change(dataset, &before, &after, ctx).await;
    }
    Ok(None)
}

/// What the DatasetInternal says, once it speaks of its present spec.
fn mirrored(internal: &DatasetInternal) -> (DatasetStatus, Vec<Finding>) {
    let status = internal.status.clone().unwrap_or_default();
    if status.observed_generation.is_none()
        || status.observed_generation != internal.metadata.generation
    {
        let waiting = Problem::pending("Planning", "what this spec needs is being planned");
        let (mut after, findings) = failed(&waiting);
        after.source = status.source;
        return (after, findings);
    }
    // Use and cache are the Dataset's own.
    let of_internal =
        |found: &Finding| !matches!(found.kind, ConditionType::InUse | ConditionType::CacheReady);
    let findings = status.conditions.iter().filter_map(finding_of);
    let findings = findings.filter(of_internal).collect();
    (
        DatasetStatus {
            conditions: Vec::new(),
            observed_generation: None,
            ..status
        },
        findings,
    )
}

fn failed(problem: &Problem) -> (DatasetStatus, Vec<Finding>) {
    let status = DatasetStatus {
        provision: Some(PhaseStatus {
            status: problem.phase,
            info: problem.message.clone(),
        }),
        ..DatasetStatus::default()
    };
    (
        status,
        vec![Finding::new(
            ConditionType::Ready,
            false,
            &problem.reason,
            &problem.message,
        )],
    )
}
