use std::{collections::BTreeMap, error::Error, path::Path, process::ExitCode};

use dlf_core::{
    api::Dataset,
    decision,
    names::LABEL_CACHE,
    plugin::{
        CachePlace, CachingPlan, CachingPlugin, CachingRequest, Intent, Observed, PluginKind,
        StoragePlugin, StorageRequest, policy,
    },
    source::Source,
};
use dlf_plugin_host::carrier::Remote;
use serde_json::{Value, json};

use super::{dataset, diff, live, live::Live, open};
use crate::{
    arguments::{Connection, Format, Shown, Which},
    output,
};

/// What is to be planned.
pub(crate) struct Asked<'a> {
    pub(crate) filename: &'a Path,
    pub(crate) config: Option<&'a str>,
    pub(crate) ready: bool,
    pub(crate) cache_namespace: &'a str,
    /// The cluster to compare with, if any.
    pub(crate) against: Option<&'a Connection>,
}

pub(crate) async fn run(
    plugin: &Which,
    asked: &Asked<'_>,
    shown: Shown,
) -> Result<ExitCode, Box<dyn Error>> {
    let dataset = dataset::read(asked.filename)?;
    let config: Value = asked.config.map_or(Ok(Value::Null), serde_json::from_str)?;
    let remote = Remote::meet(open::channel(plugin)?).await?;
    let format = shown.output.unwrap_or(Format::Yaml);
    match remote.info().kind {
        PluginKind::Storage if asked.against.is_some() => {
            let name = &remote.info().name;
            return Err(format!(
                "plugin {name} is of kind storage, which plans no objects: leave out --diff"
            )
            .into());
        }
        PluginKind::Storage => {
            let spec = &dataset.dataset.spec;
            let request = StorageRequest {
                dataset: dataset.reference,
                source: dataset.source,
                mount: spec.mount.clone().unwrap_or_default(),
                revalidate_ms: decision::revalidate_ms(spec)?,
                intent: Intent::Exist,
                config,
            };
            output::print(&StoragePlugin::plan(&remote, &request).await?, format)?;
        }
        PluginKind::Caching => {
            let file = dataset.dataset.clone();
            let request = caching(dataset, config, asked.cache_namespace)?;
            if let Some(connection) = asked.against {
                compare(&remote, request, asked.ready, (connection, &file)).await?;
                return Ok(ExitCode::SUCCESS);
            }
            let plan = planned(&remote, request, asked.ready).await?;
            output::print(&plan, format)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn caching(
    dataset: dataset::Asked,
    config: Value,
    namespace: &str,
) -> Result<CachingRequest, Box<dyn Error>> {
    let Source::ObjectStore(source) = dataset.source else {
        let kind = dataset.source.kind().as_str();
        return Err(format!("spec.local.type is {kind}; caches are for type COS").into());
    };
    let decision = decision::cache_of(&dataset.dataset.spec)?;
    let uid = dataset.reference.uid.clone();
    Ok(CachingRequest {
        dataset: dataset.reference,
        source,
        decision,
        place: place(&uid, namespace),
        intent: Intent::Exist,
        observed: Observed::default(),
        config,
    })
}

/// A place as an operator may choose it.
fn place(uid: &str, namespace: &str) -> CachePlace {
    CachePlace {
        namespace: namespace.to_owned(),
        name: format!("cache-{uid}"),
        labels: BTreeMap::from([(LABEL_CACHE.to_owned(), uid.to_owned())]),
    }
}

/// The plan, checked as a host checks it; with `ready` that of a cache whose replicas all serve.
async fn planned(
    remote: &Remote,
    mut request: CachingRequest,
    ready: bool,
) -> Result<CachingPlan, Box<dyn Error>> {
    let first = CachingPlugin::plan(remote, &request).await?;
    policy::check(&first, remote.info(), &request.place)?;
    if !ready {
        return Ok(first);
    }
    request.observed.objects = first
        .objects
        .into_iter()
        .map(|mut object| {
            let replicas = object["spec"]["replicas"].clone();
            if !replicas.is_null() {
                object["status"] = json!({ "replicas": replicas, "readyReplicas": replicas });
            }
            object
        })
        .collect();
    let second = CachingPlugin::plan(remote, &request).await?;
    policy::check(&second, remote.info(), &request.place)?;
    Ok(second)
}

/// Shows what a plan would change in the cluster.
async fn compare(
    remote: &Remote,
    mut request: CachingRequest,
    ready: bool,
    (connection, file): (&Connection, &Dataset),
) -> Result<(), Box<dyn Error>> {
    let mut found = Vec::new();
    let live = Live::connect(connection).await;
    if let Some(live) = &live {
        live.identify(&mut request.dataset, file).await?;
        let (info, namespace) = (remote.info(), &request.place.namespace);
        found = live
            .objects(&info.emits, &info.name, &request.dataset, namespace)
            .await?;
        let fresh = place(&request.dataset.uid, namespace);
        request.place = live::place(&found, fresh);
    }
    let plan = planned(remote, request, ready).await?;
    if let Some(live) = &live {
        live.complete(&mut found, &plan.objects).await?;
    }
    output::show(&diff::render(&plan.objects, &found)?)
}
