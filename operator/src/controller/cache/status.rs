use std::sync::Arc;

use dlf_core::{
    api::{CacheStatus, Dataset, DatasetInternal, DecisionStatus, Phase, PhaseStatus},
    condition::{ConditionType, Finding, Truth},
    names::{ANNOTATION_CACHE, ANNOTATION_CACHE_ORIGINS},
    plugin::{CacheOrigin, CachePlace, CachingPlan},
};
use kube::ResourceExt;

use super::{
    CacheState,
    validate::{self, Cache, Wanted},
};
use crate::controller::{Context, error::Problem, names::Identity, status::finding_of};

/// What stands in front of a Dataset's source: what its cache's reconcile found last, or, while this
/// operator has not looked yet, what is written.
pub(in crate::controller) fn state_of(
    dataset: &Dataset,
    identity: &Identity,
    ctx: &Context,
) -> Arc<CacheState> {
    let found = ctx.shared.cache_states.get(&identity.uid);
    let (plugins, namespace) = (&ctx.shared.plugins, &ctx.shared.caches_namespace);
    let state = match validate::run(dataset, identity, plugins, namespace) {
        Ok(Wanted::Nothing(reason)) => CacheState::none(reason),
        Ok(Wanted::External(plugin)) => external(plugin.name()),
        // What was found may be of the source as it was before an edit.
        Ok(Wanted::Cache(cache)) => match found {
            Some(found) if !leads_elsewhere(&found, &cache.place) => return found,
            _ => written(dataset, Some(&cache), identity, ctx),
        },
        Ok(Wanted::Unplanned(_)) | Err(_) => match found {
            Some(found) if found.origins.is_empty() => return found,
            _ => written(dataset, None, identity, ctx),
        },
    };
    Arc::new(state)
}

/// Whether reads would go through another cache than that of this place.
fn leads_elsewhere(state: &CacheState, place: &CachePlace) -> bool {
    let mut origins = state.origins.iter();
    origins.any(|origin| !is_at(&origin.endpoint, place))
}

/// Whether an endpoint is that of a cache; its names are of one length, so none begins with another.
pub(super) fn is_at(endpoint: &str, place: &CachePlace) -> bool {
    let host = endpoint.strip_prefix("http://");
    host.is_some_and(|host| host.starts_with(place.name.as_str()))
}

/// What the objects say that an operator before this one wrote.
fn written(
    dataset: &Dataset,
    cache: Option<&Cache>,
    identity: &Identity,
    ctx: &Context,
) -> CacheState {
    let status = dataset.status.clone().unwrap_or_default();
    let last = status
        .conditions
        .iter()
        .find(|last| last.type_ == ConditionType::CacheReady.as_str());
    CacheState {
        origins: cache.map_or_else(Vec::new, |cache| kept(cache, identity, ctx)),
        external: None,
        phase: status.caching.unwrap_or_default().into(),
        status: status.cache,
        finding: last.and_then(finding_of),
    }
}

/// Where reads go now, if it is this cache.
fn kept(cache: &Cache, identity: &Identity, ctx: &Context) -> Vec<CacheOrigin> {
    let internal = ctx.internal(&identity.namespace, &identity.name);
    let mut origins = internal.map_or_else(Vec::new, |internal| origins_of(&internal));
    origins.retain(|origin| {
        let mut urls = [&origin.endpoint].into_iter().chain(&origin.shards);
        urls.all(|url| is_at(url, &cache.place))
    });
    origins
}

/// Where the cache answers that a DatasetInternal leads to.
fn origins_of(internal: &DatasetInternal) -> Vec<CacheOrigin> {
    let Some(endpoint) = endpoint_of(internal) else {
        return Vec::new();
    };
    let planned = internal.annotations().get(ANNOTATION_CACHE_ORIGINS);
    let planned = planned.and_then(|planned| serde_json::from_str(planned).ok());
    planned.unwrap_or_else(|| vec![CacheOrigin::at(endpoint)])
}

/// The cache that a DatasetInternal leads to, if it does.
pub(in crate::controller) fn endpoint_of(internal: &DatasetInternal) -> Option<String> {
    internal.annotations().get(ANNOTATION_CACHE).cloned()
}

/// A controller of its own has the say.
pub(super) fn external(plugin: &str) -> CacheState {
    CacheState {
        origins: Vec::new(),
        external: Some(plugin.to_owned()),
        phase: PhaseStatus {
            status: Phase::Pending,
            info: format!("plugin {plugin} writes the effective source"),
        },
        status: None,
        finding: None,
    }
}

/// What a plan says of its cache.
pub(super) fn planned(cache: &Cache, plan: &CachingPlan) -> CacheState {
    let condition = &plan.condition;
    let endpoint = plan.origins.first().map(|origin| origin.endpoint.clone());
    let plugin = cache.plugin.name();
    let message = format!("plugin {plugin}: {}", condition.message);
    let serves = condition.ready && endpoint.is_some();
    CacheState {
        external: None,
        phase: PhaseStatus {
            status: if serves { Phase::OK } else { Phase::Pending },
            info: message.clone(),
        },
        status: Some(Box::new(of(cache, endpoint))),
        finding: Some(Finding::new(
            ConditionType::CacheReady,
            serves,
            &condition.reason,
            message,
        )),
        origins: plan.origins.clone(),
    }
}

/// Something stands in the way; what exists stays, and goes on serving if it did.
pub(super) fn stopped(
    problem: &Problem,
    cache: Option<&Cache>,
    identity: &Identity,
    ctx: &Context,
) -> CacheState {
    let origins = cache.map_or_else(Vec::new, |cache| kept(cache, identity, ctx));
    let endpoint = origins.first().map(|origin| origin.endpoint.clone());
    let (truth, message) = match &endpoint {
        Some(_) => (
            Truth::Unknown,
            format!(
                "{}; what was there stays, and reads still go through it",
                problem.message
            ),
        ),
        None => (
            Truth::False,
            format!("{}; reads go to the source", problem.message),
        ),
    };
    CacheState {
        external: None,
        phase: PhaseStatus {
            status: problem.phase,
            info: message.clone(),
        },
        status: cache.map(|cache| Box::new(of(cache, endpoint))),
        finding: Some(Finding::new(
            ConditionType::CacheReady,
            truth,
            &problem.reason,
            message,
        )),
        origins,
    }
}

fn of(cache: &Cache, endpoint: Option<String>) -> CacheStatus {
    CacheStatus {
        plugin: cache.plugin.name().to_owned(),
        decision: DecisionStatus {
            action: "Deploy".to_owned(),
            reason: "spec.cache.mode is Always".to_owned(),
            ..DecisionStatus::default()
        },
        capacity: quantity(cache.decision.capacity_bytes),
        endpoint,
        ..CacheStatus::default()
    }
}

/// Bytes as a person writes them.
fn quantity(bytes: u64) -> String {
    let units = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let whole = |shift: u32| bytes >= 1 << shift && bytes.trailing_zeros() >= shift;
    match units.into_iter().find(|(_, shift)| whole(*shift)) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dlf_core::decision::Reason;

    use super::*;

    #[test]
    fn what_was_found_before_an_edit_of_the_source_leads_nobody_after_it() {
        let place = |name: &str| CachePlace {
            namespace: "dlf-caches".to_owned(),
            name: name.to_owned(),
            labels: std::collections::BTreeMap::new(),
        };
        let mut state = CacheState::none(Reason::NotAsked);
        assert!(!leads_elsewhere(&state, &place("cache-2")));
        state.origins = vec![CacheOrigin::at("http://cache-1.dlf-caches.svc:8080")];
        assert!(!leads_elsewhere(&state, &place("cache-1")));
        assert!(leads_elsewhere(&state, &place("cache-2")));
    }

    #[test]
    fn bytes_are_written_as_a_person_writes_them() {
        for (bytes, text) in [
            (50 << 30, "50Gi"),
            (1536 << 20, "1536Mi"),
            (1 << 40, "1Ti"),
            (1000, "1000"),
        ] {
            assert_eq!(quantity(bytes), text);
        }
    }
}
