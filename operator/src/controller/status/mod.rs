//! What a status says: conditions, when they are worth a write, and who writes which part.

mod part;

use std::time::Duration;

use dlf_core::{
    api::DatasetStatus,
    condition::{ConditionType, Finding, Truth, merge},
};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

pub(super) use self::part::{StatusPart, apply};
use super::Stopwatches;

/// Reason of a dataset that is on its way: nobody has to do anything.
const PASSING: &str = "CheckingSource";

/// An object that is new or was edited is on its way this long before its status says so: most are
/// ready by then, and their next status is that.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

/// One that pods can use and that nobody edited stays so this long while what changed around it is looked
/// at, as when reads are sent to a cache.
const STEADY: Duration = Duration::from_secs(20);

/// Whether whoever reads this reason has nothing to do but wait a moment.
pub(super) fn is_passing(reason: &str) -> bool {
    reason == PASSING
}

/// Whether an object has been on its way for so short that these findings are not worth a write yet; `unsettled`
/// holds since when objects are, whose status does not say so.
pub(super) fn is_settling(
    before: &DatasetStatus,
    generation: Option<i64>,
    findings: &[Finding],
    handle: &str,
    unsettled: &Stopwatches,
) -> bool {
    let passing = |found: &Finding| found.kind == ConditionType::Ready && is_passing(&found.reason);
    let ready = |said: &&Condition| said.type_ == ConditionType::Ready.as_str();
    let said = before.conditions.iter().find(ready);
    let grace = match said {
        Some(said) if is_passing(&said.reason) => Duration::ZERO,
        Some(said) if said.status == "True" && said.observed_generation == generation => STEADY,
        _ => SETTLING,
    };
    let settling = findings.iter().any(passing) && unsettled.elapsed(handle) < grace;
    if !settling {
        unsettled.forget(handle);
    }
    settling
}

/// What a condition in a status says; none when it is of a type that is not ours.
pub(super) fn finding_of(condition: &Condition) -> Option<Finding> {
    let kind = ConditionType::ALL
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

/// `after` with these findings as its conditions, given what stood there before.
#[must_use]
pub(super) fn complete(
    before: &DatasetStatus,
    after: DatasetStatus,
    findings: &[Finding],
    generation: Option<i64>,
) -> DatasetStatus {
    let generation = generation.unwrap_or_default();
    // As the API server keeps it, so that what it says it has can be compared.
    let now = Timestamp::now();
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    DatasetStatus {
        conditions: merge(&before.conditions, findings, generation, &now),
        observed_generation: Some(generation),
        ..after
    }
}

/// A condition of a status.
pub(super) fn condition(status: &DatasetStatus, kind: ConditionType) -> Option<&Condition> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.type_ == kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settling(reason: &str, before: &DatasetStatus, unsettled: &Stopwatches) -> bool {
        let findings = [Finding::new(ConditionType::Ready, false, reason, "m")];
        is_settling(before, Some(1), &findings, "dlf-1", unsettled)
    }

    /// A status of this generation.
    fn written(ready: bool, reason: &str, generation: i64) -> DatasetStatus {
        let said = [Finding::new(ConditionType::Ready, ready, reason, "m")];
        let empty = DatasetStatus::default();
        complete(&empty, empty.clone(), &said, Some(generation))
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_object_on_its_way_is_settling_until_that_lasts() {
        let (unsettled, fresh) = (Stopwatches::default(), DatasetStatus::default());
        assert!(settling("CheckingSource", &fresh, &unsettled));
        tokio::time::advance(SETTLING / 2).await;
        assert!(settling("CheckingSource", &fresh, &unsettled));
        tokio::time::advance(SETTLING / 2).await;
        assert!(!settling("CheckingSource", &fresh, &unsettled));
        assert!(
            settling("CheckingSource", &fresh, &unsettled),
            "it begins anew"
        );
    }

    #[test]
    fn what_a_user_has_to_know_is_written_at_once() {
        let (unsettled, fresh) = (Stopwatches::default(), DatasetStatus::default());
        assert!(!settling("SecretMissing", &fresh, &unsettled));
        let ready = written(true, "Ready", 1);
        assert!(!settling("SecretMissing", &ready, &unsettled));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_and_says_so_is_not_written_again() {
        let said = written(false, "CheckingSource", 1);
        assert!(!settling("CheckingSource", &said, &Stopwatches::default()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_pods_can_use_stays_so_while_something_around_it_changes() {
        let lasts = async |before: &DatasetStatus| {
            let unsettled = Stopwatches::default();
            let began = tokio::time::Instant::now();
            while settling("CheckingSource", before, &unsettled) {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            began.elapsed()
        };
        assert_eq!(lasts(&written(true, "Ready", 1)).await, STEADY);
        let of_an_earlier_spec = written(true, "Ready", 0);
        assert_eq!(lasts(&of_an_earlier_spec).await, SETTLING);
        let missed = written(false, "SecretMissing", 1);
        assert_eq!(lasts(&missed).await, SETTLING);
    }
}
