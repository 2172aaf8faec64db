//! Writing what became of a Dataset, into its status and its DatasetInternal's.

use std::time::Duration;

use dlf_core::{
    api::{CachingStatus, Dataset, DatasetInternal, DatasetStatus, Phase},
    condition::Finding,
};

use super::{
    apply::Applied, dereference::Found, findings::Findings, internal::is_ours, source::Answer,
};
use crate::controller::{
    Context,
    cache::endpoint_of,
    error::ReconcileError,
    events,
    names::Identity,
    status::{SETTLING, StatusPart, apply, complete, is_settling},
};

/// What a status is made of.
pub(super) struct Outcome {
    pub(super) applied: Applied,
    pub(super) source: Answer,
    /// What mounts saw when they wrote.
    pub(super) refusal: Option<Finding>,
}

/// Writes both statuses, as far as they differ. Gives in how long something is to be written that was
/// not yet.
pub(super) async fn update(
    dataset: &Dataset,
    identity: &Identity,
    found: &Found,
    outcome: &Outcome,
    ctx: &Context,
) -> Result<Option<Duration>, ReconcileError> {
    let findings = Findings::of(&outcome.applied, &outcome.source);
    let before = StatusPart::Dataset.read(dataset);
    let generation = dataset.metadata.generation;
    let all = with_own(&findings.all, found, outcome.refusal.as_ref());
    let (handle, unsettled) = (identity.handle(), &ctx.shared.unsettled);
    if is_settling(&before, generation, &all, &handle, unsettled) {
        return Ok(Some(SETTLING));
    }
    let internal = outcome.applied.internal.as_deref();
    let source = outcome.applied.planned.as_ref();
    let source = source.map(|planned| planned.source.clone());
    if let Some(internal) = internal {
        write_internal(internal, &findings, source.clone(), ctx).await?;
    }
    let (caching, cache) = cached(internal, found);
    let after = DatasetStatus {
        provision: Some(findings.phase),
        caching: Some(caching),
        cache,
        source,
        ..DatasetStatus::default()
    };
    let after = complete(&before, after, &all, generation);
    if apply(dataset, StatusPart::Dataset, &after, ctx).await? {
        events::of_change(dataset, &before, &after, ctx).await;
        if outcome.refusal.is_none() {
            events::of_refusal(dataset, &before, &after, ctx).await;
        }
    }
    Ok(None)
}

/// What is found of the Dataset, and is none of its DatasetInternal's business, with the rest.
fn with_own(findings: &[Finding], found: &Found, refusal: Option<&Finding>) -> Vec<Finding> {
    let mut all = findings.to_vec();
    all.extend(found.cache.finding.clone());
    if let Some(refusal) = refusal {
        // What mounts saw says more than what the worker found out.
        all.retain(|found| found.kind != refusal.kind);
        all.push(refusal.clone());
    }
    all
}

type Cached = (CachingStatus, Option<Box<dlf_core::api::CacheStatus>>);

/// What stands in front of the source; a controller of somebody else's says so itself.
fn cached(internal: Option<&DatasetInternal>, found: &Found) -> Cached {
    let cache = &found.cache;
    let theirs = internal.filter(|internal| !is_ours(internal));
    let said = theirs.and_then(|internal| internal.status.as_ref());
    let caching = said.and_then(|said| said.caching.clone());
    match (&cache.external, caching) {
        (Some(_), Some(caching)) => (caching, said.and_then(|said| said.cache.clone())),
        _ => (cache.phase.clone().into(), cache.status.clone()),
    }
}

async fn write_internal(
    internal: &DatasetInternal,
    findings: &Findings,
    source: Option<String>,
    ctx: &Context,
) -> Result<(), ReconcileError> {
    let part = if is_ours(internal) {
        StatusPart::Internal
    } else {
        StatusPart::ExternalInternal
    };
    let before = part.read(internal);
    let after = DatasetStatus {
        provision: Some(findings.phase.clone()),
        caching: Some(led(internal)),
        source,
        ..DatasetStatus::default()
    };
    let after = complete(&before, after, &findings.all, internal.metadata.generation);
    apply(internal, part, &after, ctx).await?;
    Ok(())
}

/// What a DatasetInternal of the operator's says of the cache that it leads to.
fn led(internal: &DatasetInternal) -> CachingStatus {
    let (status, info) = match endpoint_of(internal) {
        Some(endpoint) => (Phase::OK, endpoint),
        None => (Phase::Disabled, String::new()),
    };
    CachingStatus {
        status,
        info,
        placements: None,
    }
}
