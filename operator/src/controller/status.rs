//! Writing a status: only when it differs, and of nothing but what was found.

use std::{collections::BTreeSet, time::Duration};

use dlf_core::{
    api::{ApiGroup, DatasetStatus},
    condition::{ConditionType, Finding, Truth, merge},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    Client, Resource, ResourceExt,
    api::{Api, Patch, PatchParams},
    core::DynamicResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::warn;

use super::{
    Noted,
    error::{Doing, ReconcileError},
};

/// Reasons of a dataset that is on its way: nobody has to do anything.
const PASSING: [&str; 2] = ["Planning", "CheckingSource"];

/// An object that is new or was edited is on its way this long before its status says so: most are
/// ready by then, and their next status is that.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

/// One that pods can use and that nobody edited stays so this long while what changed around it is looked
/// at, as when reads are sent to a cache.
const STEADY: Duration = Duration::from_secs(20);

/// More names than this make a message nobody reads.
const NAMED_USERS_MAX: usize = 5;

/// Whether whoever reads this reason has nothing to do but wait a moment.
pub(super) fn is_passing(reason: &str) -> bool {
    PASSING.contains(&reason)
}

/// Whether an object has been on its way for so short that these findings are not worth a write yet; `met`
/// holds since when objects are, whose status does not say so.
pub(super) fn is_settling(
    before: &DatasetStatus,
    generation: Option<i64>,
    findings: &[Finding],
    handle: &str,
    met: &Noted,
) -> bool {
    let passing = |found: &Finding| found.kind == ConditionType::Ready && is_passing(&found.reason);
    let ready = |said: &&Condition| said.type_ == ConditionType::Ready.as_str();
    let said = before.conditions.iter().find(ready);
    let patience = match said {
        Some(said) if is_passing(&said.reason) => Duration::ZERO,
        Some(said) if said.status == "True" && said.observed_generation == generation => STEADY,
        _ => SETTLING,
    };
    let settling = findings.iter().any(passing) && met.ago(handle) < patience;
    if !settling {
        met.forget(handle);
    }
    settling
}

/// Who uses a dataset, as a condition.
#[must_use]
pub(super) fn in_use(users: &BTreeSet<String>) -> Finding {
    if users.is_empty() {
        return Finding::new(ConditionType::InUse, false, "NotUsed", "no pod uses it");
    }
    let named: Vec<&str> = users
        .iter()
        .take(NAMED_USERS_MAX)
        .map(String::as_str)
        .collect();
    let more = users.len() - named.len();
    let rest = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let message = format!(
        "used by pod{} {}{rest}",
        if users.len() == 1 { "" } else { "s" },
        named.join(", ")
    );
    Finding::new(ConditionType::InUse, true, "PodsUseIt", message)
}

/// What a condition in a status says; none when it is of a type that is not ours.
pub(super) fn finding_of(condition: &Condition) -> Option<Finding> {
    let kind = [
        ConditionType::Ready,
        ConditionType::SourceReachable,
        ConditionType::Provisioned,
        ConditionType::CacheReady,
        ConditionType::SizePending,
        ConditionType::InUse,
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

/// `after` with these findings as its conditions, given what stood there before.
#[must_use]
pub(super) fn complete(
    before: &DatasetStatus,
    after: DatasetStatus,
    findings: &[Finding],
    generation: Option<i64>,
) -> DatasetStatus {
    let generation = generation.unwrap_or_default();
    let now = Time(k8s_openapi::jiff::Timestamp::now());
    DatasetStatus {
        conditions: merge(&before.conditions, findings, generation, &now),
        observed_generation: Some(generation),
        ..after
    }
}

/// Writes a status, unless it is what stood there before; true when it had to.
///
/// # Errors
/// What the API server answered; an object that is gone is none.
pub(super) async fn write<K>(
    object: &K,
    group: &ApiGroup,
    before: &DatasetStatus,
    after: &DatasetStatus,
    client: &Client,
) -> Result<bool, ReconcileError>
where
    K: Resource<DynamicType = ApiGroup, Scope = DynamicResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    if after == before {
        return Ok(false);
    }
    let namespace = object
        .namespace()
        .ok_or(ReconcileError::Incomplete("namespace"))?;
    let api: Api<K> = Api::namespaced_with(client.clone(), &namespace, group);
    let patch = json!([
        { "op": "test", "path": "/metadata/uid", "value": object.uid() },
        { "op": "add", "path": "/status", "value": after },
    ]);
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap_or_default();
    let patch: Patch<()> = Patch::Json(patch);
    match api
        .patch_status(&object.name_any(), &PatchParams::default(), &patch)
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        // Another object of this name by now, or one that the CRD's rules no longer let be written.
        Err(kube::Error::Api(status)) if status.reason == "Invalid" => {
            warn!(object = %object.name_any(), namespace, refusal = status.message, "a status was not taken");
            Ok(false)
        }
        other => other.map(|_| true).doing("writing the status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settling(reason: &str, before: &DatasetStatus, met: &Noted) -> bool {
        let findings = [Finding::new(ConditionType::Ready, false, reason, "m")];
        is_settling(before, Some(1), &findings, "dlf-1", met)
    }

    /// A status of this generation.
    fn written(ready: bool, reason: &str, generation: i64) -> DatasetStatus {
        let said = [Finding::new(ConditionType::Ready, ready, reason, "m")];
        let empty = DatasetStatus::default();
        complete(&empty, empty.clone(), &said, Some(generation))
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_object_on_its_way_is_settling_until_that_lasts() {
        let (met, fresh) = (Noted::default(), DatasetStatus::default());
        assert!(settling("Planning", &fresh, &met));
        tokio::time::advance(SETTLING / 2).await;
        assert!(settling("CheckingSource", &fresh, &met));
        tokio::time::advance(SETTLING / 2).await;
        assert!(!settling("CheckingSource", &fresh, &met));
        assert!(settling("Planning", &fresh, &met), "it begins anew");
    }

    #[test]
    fn what_a_user_has_to_know_is_written_at_once() {
        let (met, fresh) = (Noted::default(), DatasetStatus::default());
        assert!(!settling("SecretMissing", &fresh, &met));
        let ready = written(true, "Ready", 1);
        assert!(!settling("SecretMissing", &ready, &met));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_and_says_so_is_not_written_again() {
        let said = written(false, "Planning", 1);
        assert!(!settling("CheckingSource", &said, &Noted::default()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_pods_can_use_stays_so_while_something_around_it_changes() {
        let lasts = async |before: &DatasetStatus| {
            let met = Noted::default();
            let began = tokio::time::Instant::now();
            while settling("Planning", before, &met) {
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
