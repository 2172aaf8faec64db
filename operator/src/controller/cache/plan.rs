use std::collections::BTreeSet;

use dlf_core::plugin::{
    CachingPlan, CachingRequest, Intent, KindRef, Observed, PlanError, PluginInfo, policy,
};
use serde_json::{Value, json};

use super::{CacheKind, CacheObject, validate::Cache};
use crate::controller::{Context, error::Problem, names::Identity, plans};

/// Has the plugin plan, and checks what it answers.
pub(super) async fn run(
    cache: &Cache,
    identity: &Identity,
    ctx: &Context,
) -> Result<CachingPlan, Problem> {
    let name = cache.plugin.name();
    let asked = async {
        let plugin = cache.plugin.caching().await?;
        let info = plugin.describe();
        let request = request(cache, &info, identity, ctx);
        let plan = plugin.plan(&request).await?;
        policy::check(&plan, &info, &cache.place, &cache.decision)?;
        Ok(plan)
    };
    asked
        .await
        .map_err(|error: PlanError| plans::problem(name, error))
}

fn request(cache: &Cache, info: &PluginInfo, identity: &Identity, ctx: &Context) -> CachingRequest {
    let observes: BTreeSet<CacheKind> = info
        .observes
        .iter()
        .filter_map(|KindRef { api_version, kind }| CacheKind::of(api_version, kind))
        .filter(|kind| *kind != CacheKind::NetworkPolicy)
        .collect();
    let objects = ctx.shared.cache_objects.of(&identity.uid);
    let shown = objects
        .iter()
        .filter(|((kind, name), _)| observes.contains(kind) && cache.place.owns(name))
        .map(|((kind, _), object)| shown(*kind, object));
    CachingRequest {
        dataset: cache.dataset.clone(),
        source: cache.source.clone(),
        decision: cache.decision.clone(),
        place: cache.place.clone(),
        intent: Intent::Exist,
        observed: Observed {
            objects: shown.collect(),
        },
        config: ctx.shared.plugins.plugin_config(cache.plugin.name()),
    }
}

/// An object as `kubectl get -o json` shows it: those of a list come without their kind.
fn shown(kind: CacheKind, known: &CacheObject) -> Value {
    let resource = kind.resource();
    let mut shown = json!(known.object.as_ref());
    shown["apiVersion"] = json!(resource.api_version);
    shown["kind"] = json!(resource.kind);
    shown
}
