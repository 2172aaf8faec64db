use std::sync::Arc;

use dlf_core::{
    api::Dataset,
    condition::ConditionType,
    decision::{self, Decision, Reason},
    names::LABEL_CACHE,
    plugin::{CacheDecision, CachePlace, DatasetRef},
    source::{ObjectStoreSource, Source, SourceType},
};
use dlf_plugin_host::{Plugin, Registry};
use kube::ResourceExt;
use serde_json::json;

use crate::controller::{Context, error::Problem, names::Identity, owned::fingerprint};

/// What names of caches begin with; a fingerprint follows, and behind a hyphen what the plugin likes.
const PREFIX: &str = "cache-";

/// What is wanted in front of a dataset's source.
pub(super) enum Wanted {
    /// No cache.
    Nothing(Reason),
    /// The effective source of a controller that is a plugin.
    External(Arc<Plugin>),
    /// A cache that a plugin plans.
    Cache(Box<Cache>),
    /// A cache, and there is no such plugin.
    Unplanned(Problem),
}

/// A cache that is to exist.
pub(super) struct Cache {
    pub(super) plugin: Arc<Plugin>,
    pub(super) dataset: DatasetRef,
    pub(super) source: ObjectStoreSource,
    pub(super) decision: CacheDecision,
    pub(super) place: CachePlace,
}

/// What a Dataset asks for, as far as the configuration has it.
pub(super) fn run(
    dataset: &Dataset,
    identity: &Identity,
    plugins: &Registry,
    namespace: &str,
) -> Result<Wanted, Problem> {
    let labels = dataset.labels();
    let Ok(source) = Source::parse(&dataset.spec, labels, &identity.namespace) else {
        // What is wrong with it stands in the condition Ready.
        return Ok(Wanted::Nothing(Reason::NotAsked));
    };
    let default = plugins.config().cache.mode;
    let usage = dataset
        .status
        .as_ref()
        .and_then(|status| status.usage.as_ref());
    let was_used = usage.is_some_and(|usage| usage.last_used_time.is_some());
    let decided = decision::of_spec(&dataset.spec, labels, source.kind(), default, was_used)
        .map_err(|error| Problem::failed("InvalidSpec", error.to_string()))?;
    let Source::ObjectStore(source) = source else {
        return Ok(match decided {
            Decision::None(reason) => Wanted::Nothing(reason),
            Decision::Deploy { .. } => Wanted::Nothing(Reason::NotApplicable),
        });
    };
    let asked = dataset.spec.cache(labels).and_then(|cache| cache.plugin);
    let routed = || {
        plugins
            .caching(
                asked.as_deref(),
                SourceType::Cos,
                &identity.namespace,
                labels,
            )
            .map_err(|error| Problem::failed("UnknownPlugin", error.to_string()))
    };
    Ok(match (decided, routed()) {
        (Decision::None(Reason::Off), _) => Wanted::Nothing(Reason::Off),
        (_, Err(unknown)) => Wanted::Unplanned(unknown),
        // An external plugin makes its own decisions.
        (_, Ok(Some(plugin))) if plugin.is_external() => Wanted::External(Arc::clone(plugin)),
        (Decision::None(reason), _) => Wanted::Nothing(reason),
        (Decision::Deploy { .. }, Ok(None)) => Wanted::Unplanned(no_plugin()),
        (Decision::Deploy { cache, .. }, Ok(Some(plugin))) => {
            let source = source.referring_to(|| identity.source_secret());
            Wanted::Cache(Box::new(Cache {
                place: place(identity, plugin.name(), &source, namespace),
                plugin: Arc::clone(plugin),
                dataset: DatasetRef {
                    namespace: identity.namespace.clone(),
                    name: identity.name.clone(),
                    uid: identity.uid.clone(),
                    labels: labels.clone(),
                },
                source,
                decision: cache,
            }))
        }
    })
}

/// Why a cache is not deployed yet: nothing is there to be cached as far as is known. One that is there
/// stays while its source is away.
pub(super) fn not_yet(cache: &Cache, dataset: &Dataset, ctx: &Context) -> Option<Problem> {
    let objects = &ctx.shared.cache_objects;
    let is_there = |uid: &str| {
        objects
            .of(uid)
            .keys()
            .any(|(_, name)| cache.place.owns(name))
    };
    // The watches of a leader that has just begun do not show it yet.
    if !objects.is_listed() || is_there(&cache.dataset.uid) {
        return None;
    }
    let reachable = ConditionType::SourceReachable.as_str();
    let conditions = dataset.status.iter().flat_map(|status| &status.conditions);
    let found = conditions
        .filter(|found| found.observed_generation == dataset.metadata.generation)
        .find(|found| found.type_ == reachable);
    match found {
        Some(found) if found.status == "True" => None,
        Some(found) if found.status == "False" => Some(Problem::pending(
            "SourceNotReachable",
            format!(
                "a cache is deployed once the source can be reached: {} ({})",
                found.message, found.reason
            ),
        )),
        _ => Some(Problem::pending(
            "SourceNotKnown",
            "a cache is deployed once the source was found to be reachable",
        )),
    }
}

fn no_plugin() -> Problem {
    Problem::pending(
        "NoCachingPlugin",
        "no caching plugin is named: name one in spec.cache.plugin, or have an administrator add a route with \
         `caching` to the configuration",
    )
}

/// Another plugin or another source is another cache, with objects of its own: bytes of two sources
/// never meet in one.
fn place(
    identity: &Identity,
    plugin: &str,
    source: &ObjectStoreSource,
    namespace: &str,
) -> CachePlace {
    let of = json!([
        identity.uid,
        plugin,
        source.endpoint,
        source.location.bucket,
        source.location.prefix,
        source.region,
        source.ca_secret,
    ]);
    let name = format!("{PREFIX}{}", fingerprint(&of));
    CachePlace {
        namespace: namespace.to_owned(),
        labels: [(LABEL_CACHE.to_owned(), name.clone())].into(),
        name,
        key_secret: None,
    }
}

/// The name of the cache that an object of this name belongs to.
pub(super) fn cache_of(object: &str) -> &str {
    let rest = object.strip_prefix(PREFIX).unwrap_or(object);
    let end = rest.find('-').unwrap_or(rest.len());
    &object[..object.len() - rest.len() + end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_tells_its_cache() {
        let cache = format!("{PREFIX}{}", fingerprint(&json!(["a dataset", "a plugin"])));
        let place = CachePlace {
            name: cache.clone(),
            namespace: String::new(),
            labels: std::collections::BTreeMap::new(),
            key_secret: None,
        };
        for part in ["", "-data", "-data-0"] {
            let object = format!("{cache}{part}");
            assert!(place.owns(&object));
            assert_eq!(cache_of(&object), cache);
        }
    }
}
