use std::collections::BTreeSet;

use dlf_core::plugin::{
    CachePlace, CachingPlan, CachingRequest, Intent, KindRef, Observed, PlanError, PluginInfo,
    policy,
};
use serde_json::{Value, json};

use super::{CacheKind, CacheObject, validate::Cache};
use crate::controller::{Context, error::Problem, names::Identity, plans};

/// What a plugin planned, and for which place: that of its cache, with a Secret of keys if it was granted them.
pub(super) struct Planned {
    pub(super) plan: CachingPlan,
    pub(super) place: CachePlace,
}

/// Has the plugin plan, and checks what it answers. `work`: what became of what it had workers do.
pub(super) async fn run(
    cache: &Cache,
    work: &Observed,
    identity: &Identity,
    ctx: &Context,
) -> Result<Planned, Problem> {
    let name = cache.plugin.name();
    let asked = async {
        let plugin = cache.plugin.caching().await?;
        let info = plugin.describe();
        cache.plugin.granted(info.needs)?;
        let request = request(cache, &info, work.clone(), identity, ctx);
        let plan = plugin.plan(&request).await?;
        policy::check(&plan, &info, &request.place, &cache.decision)?;
        Ok(Planned {
            plan,
            place: request.place,
        })
    };
    asked
        .await
        .map_err(|error: PlanError| plans::problem(name, error))
}

fn request(
    cache: &Cache,
    info: &PluginInfo,
    work: Observed,
    identity: &Identity,
    ctx: &Context,
) -> CachingRequest {
    let observes: BTreeSet<CacheKind> = info
        .observes
        .iter()
        .filter_map(|KindRef { api_version, kind }| CacheKind::of(api_version, kind))
        .filter(|kind| !kind.is_the_operators())
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
        place: cache.place.clone().with_keys(info.needs, &cache.source),
        intent: Intent::Exist,
        observed: Observed {
            objects: shown.collect(),
            ..work
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
