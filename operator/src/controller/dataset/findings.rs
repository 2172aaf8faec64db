//! What became of a Dataset, as conditions say it: of what was applied and of what the source answered,
//! and of nothing else.

use dlf_core::{
    api::{Phase, PhaseStatus},
    condition::{ConditionType, Finding},
};

use super::{
    apply::{Applied, Planned},
    source::Answer,
};
use crate::controller::error::Problem;

/// What Dataset and DatasetInternal both say.
pub(super) struct Findings {
    /// In the original's words.
    pub(super) phase: PhaseStatus,
    pub(super) all: Vec<Finding>,
}

impl Findings {
    pub(super) fn of(applied: &Applied, source: &Answer) -> Self {
        let (phase, ready) = ready(applied.problem.clone().or_else(|| source.problem()));
        let mut all = vec![
            ready,
            provisioned(applied.problem.as_ref().or(applied.environment.as_ref())),
        ];
        all.extend(source.finding());
        all.extend(source.refusal());
        all.extend(applied.planned.as_ref().and_then(size_pending));
        Self { phase, all }
    }
}

fn ready(obstacle: Option<Problem>) -> (PhaseStatus, Finding) {
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
            ..
        }) => (
            PhaseStatus {
                status: phase,
                info: message.clone(),
            },
            Finding::new(ConditionType::Ready, false, reason, message),
        ),
    }
}

fn provisioned(problem: Option<&Problem>) -> Finding {
    let kind = ConditionType::Provisioned;
    match problem {
        None => Finding::new(
            kind,
            true,
            "Provisioned",
            "claim, volume, ConfigMap and Secret exist",
        ),
        Some(problem) => Finding::new(kind, false, &problem.reason, &problem.message),
    }
}

fn size_pending(planned: &Planned) -> Option<Finding> {
    let (wanted, made) = (&planned.size.0, planned.size.1.as_ref()?);
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
