use std::sync::Arc;

use dlf_core::{
    api::Dataset,
    decision::{self, Decision, Reason},
    names::LABEL_CACHE,
    plugin::{CacheDecision, CachePlace, DatasetRef},
    source::{ObjectStoreSource, Source, SourceType},
};
use dlf_plugin_host::{Plugin, Registry};
use kube::ResourceExt;
use serde_json::json;

use crate::controller::{error::Problem, names::Identity, owned::fingerprint};

/// What is wanted in front of a dataset's source.
pub(super) enum Wanted {
    /// No cache.
    Nothing(Reason),
    /// The effective source of a controller that is a plugin.
    External(Arc<Plugin>),
    /// A cache that a plugin plans.
    Cache(Box<Cache>),
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
    let decided = decision::of_spec(&dataset.spec, labels, source.kind(), default)
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
    match decided {
        Decision::None(Reason::Off) => Ok(Wanted::Nothing(Reason::Off)),
        // An external plugin makes its own decisions.
        Decision::None(reason) => Ok(match routed()?.filter(|plugin| plugin.is_external()) {
            Some(plugin) => Wanted::External(Arc::clone(plugin)),
            None => Wanted::Nothing(reason),
        }),
        Decision::Deploy { cache, .. } => {
            let plugin = routed()?.ok_or_else(no_plugin)?;
            if plugin.is_external() {
                return Ok(Wanted::External(Arc::clone(plugin)));
            }
            let source = source.referring_to(|| identity.source_secret());
            Ok(Wanted::Cache(Box::new(Cache {
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
            })))
        }
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
    let name = format!("cache-{}", fingerprint(&of));
    CachePlace {
        namespace: namespace.to_owned(),
        labels: [(LABEL_CACHE.to_owned(), name.clone())].into(),
        name,
    }
}
