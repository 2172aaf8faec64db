use std::sync::Arc;

use dlf_core::{
    api::{
        CacheStatus, Dataset, DatasetInternal, DecisionStatus, Phase, PhaseStatus, WarmupStatus,
    },
    condition::{ConditionType, Finding, Truth},
    names::{ANNOTATION_CACHE, ANNOTATION_CACHE_ORIGINS},
    plugin::{CacheOrigin, CachePlace, CachingPlan, Observed},
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

/// What is known of a cache besides where it is.
pub(super) struct Figures {
    used: Option<String>,
    hit_ratio: Option<u8>,
    placements: Vec<String>,
    warmup: Option<WarmupStatus>,
}

impl Figures {
    /// What plan and replicas say. Until replicas were asked by this operator, what was shown last stands.
    pub(super) fn new(
        plan: &CachingPlan,
        work: &Observed,
        warmup: Option<WarmupStatus>,
        last: Option<&CacheStatus>,
    ) -> Self {
        let unasked = work.status.is_empty() && !plan.status_endpoints.is_empty();
        if let Some(last) = last.filter(|_| unasked) {
            return Self {
                used: last.used.clone(),
                hit_ratio: last.hit_ratio,
                placements: last.placements.clone(),
                warmup,
            };
        }
        Self {
            used: work.used_bytes().map(steps),
            hit_ratio: work.hit_percent(),
            placements: plan.placements.clone(),
            warmup,
        }
    }
}

/// What was shown of the cache last, by this operator or one before it.
pub(super) fn last(identity: &Identity, ctx: &Context) -> Option<Box<CacheStatus>> {
    if let Some(found) = ctx.shared.cache_states.get(&identity.uid) {
        return found.status.clone();
    }
    let dataset = ctx.dataset(ctx.group, &identity.namespace, &identity.name)?;
    dataset.status.as_ref()?.cache.clone()
}

/// What a plan says of its cache.
pub(super) fn planned(cache: &Cache, plan: &CachingPlan, figures: Figures) -> CacheState {
    let condition = &plan.condition;
    let endpoint = plan.origins.first().map(|origin| origin.endpoint.clone());
    let plugin = cache.plugin.name();
    let serves = condition.ready && endpoint.is_some();
    let (reason, message) = if condition.ready && !serves {
        let message =
            "its plan says that the cache is ready and has no origins, so reads go to the source";
        ("NoOrigin", format!("plugin {plugin}: {message}"))
    } else {
        let message = format!("plugin {plugin}: {}", condition.message);
        (condition.reason.as_str(), message)
    };
    CacheState {
        external: None,
        phase: PhaseStatus {
            status: if serves { Phase::OK } else { Phase::Pending },
            info: message.clone(),
        },
        status: Some(Box::new(CacheStatus {
            used: figures.used,
            hit_ratio: figures.hit_ratio,
            placements: figures.placements,
            warmup: figures.warmup,
            ..of(cache, endpoint)
        })),
        finding: Some(Finding::new(
            ConditionType::CacheReady,
            serves,
            reason,
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
        status: cache.map(|cache| {
            // What was loaded is not loaded once more because something stood in the way for a while.
            let warmup = last(identity, ctx).and_then(|last| last.warmup);
            Box::new(CacheStatus {
                warmup,
                ..of(cache, endpoint)
            })
        }),
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
            reason: cache.decision.why.clone(),
            ..DecisionStatus::default()
        },
        capacity: quantity(cache.decision.capacity_bytes),
        endpoint,
        ..CacheStatus::default()
    }
}

/// A figure that grows all the time, by steps of a sixty-fourth, so that not each byte is a write.
pub(super) fn steps(bytes: u64) -> String {
    let below = bytes.checked_ilog2().unwrap_or_default().saturating_sub(6);
    quantity(bytes >> below << below)
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
            key_secret: None,
        };
        let mut state = CacheState::none(Reason::NotAsked);
        assert!(!leads_elsewhere(&state, &place("cache-2")));
        state.origins = vec![CacheOrigin::at("http://cache-1.dlf-caches.svc:8080")];
        assert!(!leads_elsewhere(&state, &place("cache-1")));
        assert!(leads_elsewhere(&state, &place("cache-2")));
    }

    #[test]
    fn a_figure_that_grows_is_written_in_steps() {
        for (bytes, text) in [
            (0, "0"),
            (63, "63"),
            (129, "128"),
            ((5 << 30) + 1, "5Gi"),
            ((5 << 30) + (65 << 20), "5184Mi"),
        ] {
            assert_eq!(steps(bytes), text);
        }
        let written: std::collections::BTreeSet<String> =
            (1 << 20..2 << 20).step_by(1000).map(steps).collect();
        assert_eq!(written.len(), 64, "a doubling has so many steps");
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
