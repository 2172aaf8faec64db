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
use dlf_plugin_host::{carrier::Remote, schema};
use serde_json::{Value, json};

use super::{dataset, diff, dry_run, live, live::Live, open, section};
use crate::{
    arguments::{Connection, Format, Shown, Which},
    output,
};

/// What is to be planned.
pub(crate) struct Asked<'a> {
    pub(crate) filename: &'a Path,
    /// Of the Dataset, where its file does not say.
    pub(crate) namespace: Option<&'a str>,
    pub(crate) config: Option<&'a str>,
    pub(crate) ready: bool,
    pub(crate) cache_namespace: &'a str,
    /// What to compare with, if anything.
    pub(crate) against: Option<Against<'a>>,
}

/// What a plan is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Against<'a> {
    /// The cluster.
    pub(crate) connection: &'a Connection,
    /// The plugin's name there, where neither the Dataset nor the plugin says it.
    pub(crate) installed_as: Option<&'a str>,
}

pub(crate) async fn run(
    plugin: &Which,
    asked: &Asked<'_>,
    shown: Shown,
) -> Result<ExitCode, Box<dyn Error>> {
    let dataset = dataset::read(asked.filename, asked.namespace)?;
    let config = section::read(asked.config)?;
    let remote = Remote::meet(open::channel(plugin)?).await?;
    schema::check(remote.info(), &config)?;
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
            if let Some(against) = asked.against {
                return compare(&remote, request, asked.ready, (against, &file)).await;
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
    let decision = decision::cache_of(&dataset.dataset.spec, false)?;
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
        key_secret: None,
    }
}

/// The plan, checked as a host checks it; with `ready` that of a cache whose replicas all serve.
async fn planned(
    remote: &Remote,
    mut request: CachingRequest,
    ready: bool,
) -> Result<CachingPlan, Box<dyn Error>> {
    request.place = request
        .place
        .with_keys(remote.info().needs, &request.source);
    let first = CachingPlugin::plan(remote, &request).await?;
    policy::check(&first, remote.info(), &request.place, &request.decision)?;
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
    policy::check(&second, remote.info(), &request.place, &request.decision)?;
    Ok(second)
}

/// Shows what a plan would change in the cluster, and what the API server would not take of it.
async fn compare(
    remote: &Remote,
    mut request: CachingRequest,
    ready: bool,
    (against, file): (Against<'_>, &Dataset),
) -> Result<ExitCode, Box<dyn Error>> {
    let Some(live) = Live::connect(against.connection).await else {
        let plan = planned(remote, request, ready).await?;
        output::show(&diff::render(&plan.objects, &[])?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let info = remote.info();
    let plugin = installed_as(against.installed_as, file, &info.name);
    live.identify(&mut request.dataset, file).await?;
    let namespace = &request.place.namespace;
    let mut found = live
        .objects(&info.emits, &plugin, &request.dataset, namespace)
        .await?;
    let fresh = place(&request.dataset.uid, namespace);
    request.place = live::place(&found, fresh);
    let plan = planned(remote, request, ready).await?;
    live.complete(&mut found, &plan.objects).await?;
    let tried = dry_run::run(&live, &plan.objects, &plugin).await;
    output::show(&(diff::render(&plan.objects, &found)? + &tried.lines()))?;
    Ok(output::exit_code(tried.refused.is_empty()))
}

/// The name by which the operator knows the plugin, and labels what it planned: the configuration's, which
/// need not be the one that the plugin says.
fn installed_as(given: Option<&str>, dataset: &Dataset, says: &str) -> String {
    let labels = dataset.metadata.labels.clone().unwrap_or_default();
    let asked = || dataset.spec.cache(&labels).and_then(|cache| cache.plugin);
    given
        .map(ToOwned::to_owned)
        .or_else(asked)
        .unwrap_or_else(|| says.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_known_by_the_name_that_the_dataset_asks_for() {
        let dataset = |metadata: Value, cache: Value| {
            let spec = json!({ "local": { "type": "COS" }, "cache": cache });
            serde_json::from_value::<Dataset>(json!({ "metadata": metadata, "spec": spec }))
                .unwrap()
        };
        let plain = dataset(json!({}), json!({ "mode": "Always" }));
        let named = dataset(json!({}), json!({ "plugin": "acme" }));
        let labelled = dataset(json!({ "labels": { "cache.plugin": "acme" } }), Value::Null);
        assert_eq!(installed_as(None, &plain, "nginx"), "nginx");
        assert_eq!(installed_as(None, &named, "nginx"), "acme");
        assert_eq!(installed_as(None, &labelled, "nginx"), "acme");
        assert_eq!(installed_as(Some("other"), &named, "nginx"), "other");
    }
}
