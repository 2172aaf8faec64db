use std::{collections::BTreeMap, time::Duration};

use dlf_core::{
    api::{CacheMode, DatasetInternal, DatasetSpec, DatasetStatus, Phase, PhaseStatus},
    condition::{ConditionType, Finding, Truth},
    plugin::{FileSystem, Volume},
};

use super::{
    apply::{Applied, Planned},
    source::Answer,
};
use crate::controller::{
    Context,
    error::{Problem, ReconcileError},
    names::Identity,
    status::{SETTLING, complete, is_settling, write},
};

/// Gives in how long something is to be written that was not yet.
pub(super) async fn update(
    internal: &DatasetInternal,
    identity: &Identity,
    labels: &BTreeMap<String, String>,
    applied: &Applied,
    source: &Answer,
    ctx: &Context,
) -> Result<Option<Duration>, ReconcileError> {
    let before = internal.status.clone().unwrap_or_default();
    let (phase, ready) = ready(applied, source);
    let after = DatasetStatus {
        provision: Some(phase),
        caching: Some(PhaseStatus {
            status: Phase::Disabled,
            info: String::new(),
        }),
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
    findings.extend(cache(&internal.spec, labels, applied.planned.as_ref()));
    if is_settling(
        &before,
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

/// A cache block, or a label that asks for a cache, where none applies.
fn cache(
    spec: &DatasetSpec,
    labels: &BTreeMap<String, String>,
    planned: Option<&Planned>,
) -> Option<Finding> {
    let Volume::Mount(mount) = &planned?.plan.volume;
    no_cache(spec, labels, &mount.file_system)
}

fn no_cache(
    spec: &DatasetSpec,
    labels: &BTreeMap<String, String>,
    file_system: &FileSystem,
) -> Option<Finding> {
    let asked = spec.cache(labels)?;
    let by_label = spec.cache.is_none();
    let cacheable = matches!(file_system, FileSystem::ObjectStore(_));
    if cacheable || by_label && asked.mode == Some(CacheMode::Off) {
        return None;
    }
    Some(Finding::new(
        ConditionType::CacheReady,
        false,
        "CacheNotApplicable",
        "sources of this type are not cached; leave out spec.cache and the label cache.plugin",
    ))
}

#[cfg(test)]
mod tests {
    use dlf_core::{api::CacheSpec, plugin::HostPathMount};

    use super::*;

    #[test]
    fn who_asks_for_a_cache_where_none_applies_is_told() {
        let directory = FileSystem::HostPath(HostPathMount {
            path: "/data".to_owned(),
            create: false,
        });
        let block = DatasetSpec {
            cache: Some(CacheSpec::default()),
            ..DatasetSpec::default()
        };
        let label = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let reason = |spec: &DatasetSpec, labels: &BTreeMap<String, String>| {
            no_cache(spec, labels, &directory).map(|finding| finding.reason)
        };
        let (none, plain) = (BTreeMap::new(), DatasetSpec::default());
        let told = Some("CacheNotApplicable".to_owned());
        assert_eq!(reason(&block, &none), told);
        assert_eq!(reason(&plain, &label("cache.plugin", "disk")), told);
        assert_eq!(reason(&plain, &label("cache.disable", "true")), None);
        assert_eq!(reason(&plain, &none), None);
    }
}
