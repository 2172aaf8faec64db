use std::time::Duration;

use dlf_core::{
    api::{DatasetInternal, DatasetStatus, Phase, PhaseStatus},
    condition::{ConditionType, Finding, Truth},
    names::LABEL_DATASET_UID,
};
use kube::ResourceExt;

use super::{
    apply::{Applied, Planned},
    source::Answer,
};
use crate::controller::{
    Context,
    cache::endpoint_of,
    error::{Problem, ReconcileError},
    names::Identity,
    status::{SETTLING, complete, is_settling, write},
};

/// Gives in how long something is to be written that was not yet.
pub(super) async fn update(
    internal: &DatasetInternal,
    identity: &Identity,
    applied: &Applied,
    source: &Answer,
    ctx: &Context,
) -> Result<Option<Duration>, ReconcileError> {
    let before = internal.status.clone().unwrap_or_default();
    let (phase, ready) = ready(applied, source);
    let after = DatasetStatus {
        provision: Some(phase),
        caching: Some(caching(internal, &before)),
        source: applied
            .planned
            .as_ref()
            .map(|planned| planned.source.clone()),
        usage: before.usage.clone(),
        ..DatasetStatus::default()
    };
    let mut findings = vec![ready, provisioned(applied)];
    findings.extend(source.finding());
    findings.extend(applied.planned.as_ref().and_then(size_pending));
    if is_settling(
        &before,
        internal.metadata.generation,
        &findings,
        &identity.handle(),
        &ctx.shared.internals_met,
    ) {
        return Ok(Some(SETTLING));
    }
    let after = complete(&before, after, &findings, internal.metadata.generation);
    let client = &ctx.shared.client;
    write(internal, &identity.group, &before, &after, client).await?;
    Ok(None)
}

/// Whether the effective source is a cache; a controller that is a plugin says so itself.
fn caching(internal: &DatasetInternal, before: &DatasetStatus) -> PhaseStatus {
    let is_ours = internal.labels().contains_key(LABEL_DATASET_UID);
    match (endpoint_of(internal), &before.caching) {
        (Some(endpoint), _) => PhaseStatus {
            status: Phase::OK,
            info: endpoint,
        },
        (None, Some(said)) if !is_ours => said.clone(),
        (None, _) => PhaseStatus {
            status: Phase::Disabled,
            info: String::new(),
        },
    }
}

fn ready(applied: &Applied, source: &Answer) -> (PhaseStatus, Finding) {
    let obstacle = applied.problem.clone().or_else(|| source.problem());
    match obstacle {
        None => (
            PhaseStatus {
                status: Phase::OK,
                info: String::new(),
            },
            Finding::new(ConditionType::Ready, true, "Ready", "pods can use it"),
        ),
        Some(Problem {
            reason,
            message,
            phase,
        }) => (
            PhaseStatus {
                status: phase,
                info: message.clone(),
            },
            Finding::new(ConditionType::Ready, false, reason, message),
        ),
    }
}

fn provisioned(applied: &Applied) -> Finding {
    match &applied.problem {
        None if applied.provisioned => Finding::new(
            ConditionType::Provisioned,
            true,
            "Provisioned",
            "claim, volume, ConfigMap and Secret exist",
        ),
        None => Finding::new(
            ConditionType::Provisioned,
            Truth::Unknown,
            "Planning",
            "not everything was written yet",
        ),
        Some(problem) => Finding::new(
            ConditionType::Provisioned,
            false,
            &problem.reason,
            &problem.message,
        ),
    }
}

fn size_pending(planned: &Planned) -> Option<Finding> {
    let (made, wanted) = planned.size_pending.as_ref()?;
    Some(Finding::new(
        ConditionType::SizePending,
        true,
        "FixedWhenMade",
        format!(
            "spec.mount.size is {wanted}, but the claim was made with {made} and keeps it; delete the claim when no \
             pod uses it, and it is made again with the new size"
        ),
    ))
}
