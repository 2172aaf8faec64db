use dlf_core::condition::ConditionType;
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde::Serialize;

use crate::{datasets::View, text};

/// Whether pods can use a Dataset, in one sentence.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) ready: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

/// One condition, for a person.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    /// Since when it is so.
    #[serde(rename = "lastTransitionTime")]
    pub(super) since: String,
    #[serde(skip)]
    pub(super) age: String,
}

pub(super) fn verdict(view: &View) -> Verdict {
    let not = |reason: &str, message: String| Verdict {
        ready: false,
        reason: reason.to_owned(),
        message,
    };
    if view.is_going() {
        let used = view.condition(ConditionType::InUse);
        let used = used.filter(|condition| condition.status == "True");
        let message = used.map_or_else(
            || "it is being deleted: what it made goes first".to_owned(),
            |used| {
                format!(
                    "it is being deleted and stays until its last pod has gone: {}",
                    used.message
                )
            },
        );
        return not("Deleting", message);
    }
    let observed = view.status().and_then(|status| status.observed_generation);
    let Some(ready) = view.condition(ConditionType::Ready) else {
        return not(
            "New",
            "the operator has not looked at it yet; if that lasts, `kubectl dlf doctor` says why"
                .to_owned(),
        );
    };
    let current = view.dataset.metadata.generation;
    if observed.is_some() && observed < current {
        return not(
            "Outdated",
            "the operator has not looked at its last edit yet: what follows is about the spec before; if that lasts, `kubectl dlf doctor` says why".to_owned(),
        );
    }
    Verdict {
        ready: ready.status == "True",
        reason: ready.reason.clone(),
        message: ready.message.clone(),
    }
}

/// All conditions: what stands in the way first, the cause before what follows from it.
pub(super) fn conditions(view: &View, now: Timestamp) -> Vec<Found> {
    let mut conditions: Vec<&Condition> = view
        .status()
        .into_iter()
        .flat_map(|status| &status.conditions)
        .collect();
    conditions.sort_by_key(|condition| rank(condition));
    conditions
        .into_iter()
        .map(|condition| Found {
            kind: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            since: condition.last_transition_time.0.to_string(),
            age: text::age(condition.last_transition_time.0, now),
        })
        .collect()
}

fn rank(condition: &Condition) -> (bool, usize) {
    const CAUSES_FIRST: [ConditionType; 7] = [
        ConditionType::SourceReachable,
        ConditionType::Provisioned,
        ConditionType::Ready,
        ConditionType::WritesRefused,
        ConditionType::SizePending,
        ConditionType::CacheReady,
        ConditionType::InUse,
    ];
    let kind = CAUSES_FIRST
        .iter()
        .position(|kind| kind.as_str() == condition.type_);
    let fine = match kind.map(|kind| CAUSES_FIRST[kind]) {
        // Neither used nor unused is wrong.
        Some(ConditionType::InUse) => true,
        Some(ConditionType::SizePending | ConditionType::WritesRefused) => {
            condition.status != "True"
        }
        _ => condition.status == "True",
    };
    (fine, kind.unwrap_or(CAUSES_FIRST.len()))
}
