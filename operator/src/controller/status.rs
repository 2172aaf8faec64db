//! Writing a status: only when it differs, and of nothing but what was found.

use std::collections::BTreeSet;

use dlf_core::{
    api::{ApiGroup, DatasetStatus},
    condition::{ConditionType, Finding, merge},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Client, Resource, ResourceExt,
    api::{Api, Patch, PatchParams},
    core::DynamicResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::error::{Doing, ReconcileError};

/// More names than this make a message nobody reads.
const NAMED_USERS_MAX: usize = 5;

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

/// Writes `after` with its findings merged into the conditions of `before`; gives both when it
/// had to.
///
/// # Errors
/// What the API server answered; a Dataset that is gone is none.
pub(super) async fn write<K>(
    object: &K,
    group: &ApiGroup,
    before: DatasetStatus,
    mut after: DatasetStatus,
    findings: &[Finding],
    client: &Client,
) -> Result<Option<(DatasetStatus, DatasetStatus)>, ReconcileError>
where
    K: Resource<DynamicType = ApiGroup, Scope = DynamicResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let generation = object.meta().generation.unwrap_or_default();
    let now = Time(k8s_openapi::jiff::Timestamp::now());
    after.conditions = merge(&before.conditions, findings, generation, &now);
    after.observed_generation = Some(generation);
    if after == before {
        return Ok(None);
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
        Err(kube::Error::Api(status)) if status.code == 404 || status.reason == "Invalid" => {
            Ok(None)
        }
        other => other
            .map(|_| Some((before, after)))
            .doing("writing the status"),
    }
}
