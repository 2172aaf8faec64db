use dlf_core::{
    api::{ApiGroup, DatasetStatus},
    condition::ConditionType,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Resource, ResourceExt,
    api::{Api, Patch, PatchParams},
    core::{DynamicResourceScope, object::HasStatus},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::warn;

use super::condition;
use crate::controller::{
    Context,
    error::{Doing, ReconcileError},
    owned::FIELD_MANAGER,
};

/// Who answers for which fields of a status. Each writer applies its own, so that none undoes another's,
/// and fields and conditions of somebody else's stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum StatusPart {
    /// What became of a Dataset.
    Dataset,
    /// What became of it, in a DatasetInternal that the operator wrote.
    Internal,
    /// The same in one that a controller of somebody else's wrote, which says itself what its cache is.
    ExternalInternal,
    /// Who uses it, and how much.
    Usage,
}

impl StatusPart {
    const fn manager(self) -> &'static str {
        match self {
            Self::Dataset | Self::Internal | Self::ExternalInternal => FIELD_MANAGER,
            Self::Usage => "dlf-operator-usage",
        }
    }

    const fn has(self, kind: ConditionType) -> bool {
        match kind {
            ConditionType::InUse => matches!(self, Self::Usage),
            ConditionType::CacheReady => matches!(self, Self::Dataset),
            ConditionType::Ready
            | ConditionType::SourceReachable
            | ConditionType::Provisioned
            | ConditionType::SizePending
            | ConditionType::WritesRefused => !matches!(self, Self::Usage),
        }
    }

    /// This part of what an object says.
    pub(in crate::controller) fn read(
        self,
        object: &impl HasStatus<Status = DatasetStatus>,
    ) -> DatasetStatus {
        let status = object.status();
        status.map(|status| self.of(status)).unwrap_or_default()
    }

    /// This part of a status; conditions in one order, since the API server keeps another.
    fn of(self, status: &DatasetStatus) -> DatasetStatus {
        let conditions = ConditionType::ALL
            .into_iter()
            .filter(|kind| self.has(*kind));
        let conditions = conditions.filter_map(|kind| condition(status, kind).cloned());
        let part = DatasetStatus {
            conditions: conditions.collect(),
            ..DatasetStatus::default()
        };
        if self == Self::Usage {
            let usage = status.usage.clone();
            return DatasetStatus { usage, ..part };
        }
        let says_cache = self != Self::ExternalInternal;
        DatasetStatus {
            observed_generation: status.observed_generation,
            provision: status.provision.clone(),
            source: status.source.clone(),
            caching: status.caching.clone().filter(|_| says_cache),
            cache: status.cache.clone().filter(|_| says_cache),
            ..part
        }
    }

    /// `status` with this part of `after` in the place of its own.
    fn replaced(self, status: &DatasetStatus, after: &DatasetStatus) -> DatasetStatus {
        let own = self.of(after);
        let ours = |condition: &Condition| {
            let mut kinds = ConditionType::ALL.into_iter();
            kinds.any(|kind| self.has(kind) && kind.as_str() == condition.type_)
        };
        let others = status.conditions.iter().filter(|one| !ours(one));
        let conditions = own.conditions.iter().chain(others).cloned().collect();
        if self == Self::Usage {
            return DatasetStatus {
                usage: own.usage,
                conditions,
                ..status.clone()
            };
        }
        let external = self == Self::ExternalInternal;
        DatasetStatus {
            usage: status.usage.clone(),
            caching: if external {
                status.caching.clone()
            } else {
                own.caching
            },
            cache: if external {
                status.cache.clone()
            } else {
                own.cache
            },
            conditions,
            ..own
        }
    }
}

/// Applies a part of a status, unless it is what stands there; true when it had to.
///
/// # Errors
/// What the API server answered; an object that is gone is none.
pub(in crate::controller) async fn apply<K>(
    object: &K,
    part: StatusPart,
    after: &DatasetStatus,
    ctx: &Context,
) -> Result<bool, ReconcileError>
where
    K: Resource<DynamicType = ApiGroup, Scope = DynamicResourceScope>
        + HasStatus<Status = DatasetStatus>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let after = part.of(after);
    if part.read(object) == after {
        return Ok(false);
    }
    let namespace = object
        .namespace()
        .ok_or(ReconcileError::Incomplete("namespace"))?;
    let (name, client) = (object.name_any(), ctx.shared.client.clone());
    let api: Api<K> = Api::namespaced_with(client, &namespace, &ctx.group);
    let whole = json!({
        "apiVersion": K::api_version(&ctx.group),
        "kind": K::kind(&ctx.group),
        // Another object may have this name by now.
        "metadata": { "name": name, "uid": object.uid() },
        "status": after,
    });
    let params = PatchParams::apply(part.manager()).force();
    let applied = api
        .patch_status(&name, &params, &Patch::Apply(&whole))
        .await;
    let Some(written) = taken(applied, &name, &namespace)? else {
        return Ok(false);
    };
    if part.read(&written) != after {
        let said = written.status().cloned().unwrap_or_default();
        // Somebody else wrote fields that are ours, as versions did that did not apply: they would stay.
        let patch = json!([
            { "op": "test", "path": "/metadata/resourceVersion", "value": written.resource_version() },
            { "op": "add", "path": "/status", "value": part.replaced(&said, &after) },
        ]);
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap_or_default();
        let patch: Patch<()> = Patch::Json(patch);
        let params = PatchParams {
            field_manager: Some(part.manager().to_owned()),
            ..PatchParams::default()
        };
        let replaced = api.patch_status(&name, &params, &patch).await;
        taken(replaced, &name, &namespace)?;
    }
    Ok(true)
}

/// What was written; nothing when there is no such object, or one that the CRD's rules no longer let be
/// written, or one that has changed meanwhile, which is looked at again.
fn taken<K>(
    answer: kube::Result<K>,
    name: &str,
    namespace: &str,
) -> Result<Option<K>, ReconcileError> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(kube::Error::Api(status)) if status.reason == "Invalid" => {
            warn!(
                name,
                namespace,
                refusal = status.message,
                "a status was not taken"
            );
            Ok(None)
        }
        other => other.map(Some).doing("writing the status"),
    }
}

#[cfg(test)]
mod tests {
    use dlf_core::api::{CachingStatus, Phase, UsageStatus};
    use serde_json::Value;

    use super::*;

    /// Everything that anybody writes, and a condition of somebody else's.
    fn whole() -> DatasetStatus {
        let condition = |kind: &str| -> Value {
            json!({
                "type": kind, "status": "True", "reason": "Is", "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let kinds = ConditionType::ALL.map(ConditionType::as_str);
        let conditions = kinds.into_iter().rev().chain(["Theirs"]).map(condition);
        serde_json::from_value(json!({
            "observedGeneration": 1,
            "provision": { "status": "OK", "info": "" },
            "caching": { "status": "OK", "info": "theirs" },
            "source": "s",
            "conditions": conditions.collect::<Vec<_>>(),
            "usage": { "consumers": 3 },
        }))
        .unwrap()
    }

    fn kinds(status: &DatasetStatus) -> Vec<&str> {
        let conditions = status.conditions.iter();
        conditions.map(|one| one.type_.as_str()).collect()
    }

    #[test]
    fn two_writers_of_one_object_have_nothing_in_common() {
        let (dataset, usage) = (
            StatusPart::Dataset.of(&whole()),
            StatusPart::Usage.of(&whole()),
        );
        assert_eq!(kinds(&usage), ["InUse"]);
        assert!(!kinds(&dataset).contains(&"InUse") && dataset.usage.is_none());
        assert_eq!(usage.provision, None);
        let written = dataset.conditions.len() + usage.conditions.len();
        assert_eq!(written, ConditionType::ALL.len());
        assert_ne!(StatusPart::Dataset.manager(), StatusPart::Usage.manager());
    }

    #[test]
    fn what_is_put_in_the_place_of_a_part_leaves_all_the_rest() {
        for part in [
            StatusPart::Dataset,
            StatusPart::Internal,
            StatusPart::ExternalInternal,
            StatusPart::Usage,
        ] {
            let nothing = DatasetStatus::default();
            let after = part.replaced(&whole(), &nothing);
            assert_eq!(part.of(&after), nothing, "{part:?}");
            assert!(kinds(&after).contains(&"Theirs"), "{part:?}");
            let usage = (part != StatusPart::Usage).then(|| UsageStatus {
                consumers: 3,
                ..UsageStatus::default()
            });
            assert_eq!(after.usage, usage, "{part:?}");
        }
        let theirs = CachingStatus {
            status: Phase::OK,
            info: "theirs".to_owned(),
            placements: None,
        };
        let after = StatusPart::ExternalInternal.replaced(&whole(), &DatasetStatus::default());
        assert_eq!(after.caching, Some(theirs));
    }
}
