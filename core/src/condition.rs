//! Conditions: what is true of a dataset, since when, why, and what to do about it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A condition's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Pods can use the dataset.
    Ready,
    /// The source answered when it was last asked.
    SourceReachable,
    /// Everything the Dataset makes exists.
    Provisioned,
    /// A cache serves it.
    CacheReady,
    /// Pods use it.
    InUse,
    /// `mount.size` was changed after the claim was made.
    SizePending,
    /// The source does not take what pods write.
    WritesRefused,
}

impl ConditionType {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::SourceReachable,
        Self::Provisioned,
        Self::CacheReady,
        Self::InUse,
        Self::SizePending,
        Self::WritesRefused,
    ];

    /// The type as it stands in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::SourceReachable => "SourceReachable",
            Self::Provisioned => "Provisioned",
            Self::CacheReady => "CacheReady",
            Self::InUse => "InUse",
            Self::SizePending => "SizePending",
            Self::WritesRefused => "WritesRefused",
        }
    }
}

/// Whether it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is.
    True,
    /// It is not.
    False,
    /// Not known yet.
    Unknown,
}

impl Truth {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// What is found of one condition; when it changed is added by [`merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Of what.
    pub kind: ConditionType,
    /// Whether it is true.
    pub truth: Truth,
    /// A class in CamelCase, never empty.
    pub reason: String,
    /// A sentence for a person: what, where, and the way out.
    pub message: String,
}

impl Finding {
    /// A finding of its four parts.
    pub fn new(
        kind: ConditionType,
        truth: impl Into<Truth>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            truth: truth.into(),
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// The API server refuses a longer message.
pub const MESSAGE_BYTES_MAX: usize = 32_768;

/// Conditions after `findings`: those of other types stay out, a transition time changes only
/// when the truth does, and the order is that of `findings`.
#[must_use]
pub fn merge(
    before: &[Condition],
    findings: &[Finding],
    generation: i64,
    now: &Time,
) -> Vec<Condition> {
    findings
        .iter()
        .map(|finding| {
            let same = before.iter().find(|old| {
                old.type_ == finding.kind.as_str() && old.status == finding.truth.as_str()
            });
            let mut message = finding.message.clone();
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
            Condition {
                type_: finding.kind.as_str().to_owned(),
                status: finding.truth.as_str().to_owned(),
                reason: finding.reason.clone(),
                message,
                observed_generation: Some(generation),
                last_transition_time: same
                    .map_or_else(|| now.clone(), |old| old.last_transition_time.clone()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        serde_json::from_value(serde_json::json!(format!("2026-01-01T00:00:{seconds:02}Z")))
            .unwrap()
    }

    #[test]
    fn a_transition_time_changes_only_with_the_truth() {
        let found = |truth, reason: &str| [Finding::new(ConditionType::Ready, truth, reason, "m")];
        let first = merge(&[], &found(Truth::False, "A"), 1, &at(1));
        let other_reason = merge(&first, &found(Truth::False, "B"), 2, &at(2));
        assert_eq!(other_reason[0].last_transition_time, at(1));
        assert_eq!(other_reason[0].reason, "B");
        let other_truth = merge(&other_reason, &found(Truth::True, "C"), 2, &at(3));
        assert_eq!(other_truth[0].last_transition_time, at(3));
    }

    #[test]
    fn a_message_is_cut_at_a_character() {
        let long = "é".repeat(MESSAGE_BYTES_MAX);
        let merged = merge(
            &[],
            &[Finding::new(ConditionType::Ready, true, "R", long)],
            1,
            &at(1),
        );
        assert!(merged[0].message.len() <= MESSAGE_BYTES_MAX);
    }
}
