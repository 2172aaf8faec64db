use std::sync::Arc;

use dlf_core::{
    api::{Dataset, DatasetInternal, DatasetStatus, Phase, PhaseStatus, UsageStatus},
    condition::{ConditionType, Finding, Truth},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::dereference::Found;
use crate::controller::{
    Context,
    error::{Problem, ReconcileError},
    events,
    names::Identity,
    status::{in_use, write},
};

/// The Dataset's status: what became of its DatasetInternal, or what stands in the way.
pub(super) async fn update(
    dataset: &Dataset,
    identity: &Identity,
    found: &Found,
    outcome: Result<Arc<DatasetInternal>, Problem>,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    let before = dataset.status.clone().unwrap_or_default();
    let (mut after, mut findings) = match outcome {
        Ok(internal) => mirrored(&internal),
        Err(problem) => failed(&problem),
    };
    findings.push(in_use(&found.users));
    after.usage = Some(UsageStatus {
        consumers: u32::try_from(found.users.len()).unwrap_or(u32::MAX),
        ..before.usage.clone().unwrap_or_default()
    });
    let after = write(
        dataset,
        &identity.group,
        before,
        after,
        &findings,
        &ctx.shared.client,
    )
    .await?;
    if let Some((before, after)) = after {
        events::of_change(dataset, &before, &after, ctx).await;
    }
    Ok(())
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
    let findings = status.conditions.iter().filter_map(finding).collect();
    (
        DatasetStatus {
            conditions: Vec::new(),
            observed_generation: None,
            ..status
        },
        findings,
    )
}

fn finding(condition: &Condition) -> Option<Finding> {
    let kind = [
        ConditionType::Ready,
        ConditionType::SourceReachable,
        ConditionType::Provisioned,
        ConditionType::CacheReady,
        ConditionType::SizePending,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == condition.type_)?;
    let truth = match condition.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    };
    Some(Finding::new(
        kind,
        truth,
        &condition.reason,
        &condition.message,
    ))
}

fn failed(problem: &Problem) -> (DatasetStatus, Vec<Finding>) {
    let status = DatasetStatus {
        provision: Some(PhaseStatus {
            status: problem.phase,
            info: problem.message.clone(),
        }),
        caching: Some(PhaseStatus {
            status: Phase::Disabled,
            info: String::new(),
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
