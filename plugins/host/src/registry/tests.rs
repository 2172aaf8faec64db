use std::{collections::BTreeSet, path::PathBuf};

use dlf_core::plugin::{Needs, PlanError, PluginInfo, StoragePlan, StoragePlugin, StorageRequest};
use dlf_plugin_hostpath::HostPath;
use dlf_plugin_nfs::Nfs;
use dlf_plugin_s3fs::S3fs;

use super::*;
use crate::config::{Grant, Match, Route};

struct NoConnectors;

impl Connectors for NoConnectors {
    fn isolated(&self, _: Address) -> Box<dyn Connect> {
        Box::new(Nowhere)
    }
}

struct Nowhere;

#[async_trait::async_trait]
impl Connect for Nowhere {
    async fn connect(&self) -> Result<Box<dyn crate::carrier::socket::Stream>, String> {
        Err("nobody listens there".to_owned())
    }
}

fn built_in() -> Vec<BuiltIn> {
    vec![
        BuiltIn::Storage(Arc::new(S3fs)),
        BuiltIn::Storage(Arc::new(Nfs)),
        BuiltIn::Storage(Arc::new(HostPath)),
    ]
}

fn registry(config: Config) -> Result<Registry, RegistryError> {
    Registry::new(
        built_in(),
        Arc::new(config),
        &NoConnectors,
        &Metrics::default(),
    )
}

fn section(carrier: Carrier) -> PluginConfig {
    PluginConfig {
        carrier,
        url: None,
        path: None,
        sha256: None,
        service_account: None,
        grants: BTreeSet::new(),
        config: serde_json::Value::Null,
    }
}

fn with(name: &str, plugin: PluginConfig, routes: Vec<Route>) -> Config {
    Config {
        plugins: BTreeMap::from([(name.to_owned(), plugin)]),
        routes,
        ..Config::default()
    }
}

#[test]
fn without_a_file_each_type_has_its_built_in_plugin() {
    let registry = registry(Config::default()).unwrap();
    let name = |kind| {
        registry
            .storage(kind, "ns", &BTreeMap::new())
            .unwrap()
            .name()
            .to_owned()
    };
    assert_eq!(name(SourceType::Cos), "s3fs");
    assert_eq!(name(SourceType::Nfs), "nfs");
    assert_eq!(name(SourceType::Host), "hostpath");
}

#[test]
fn the_first_route_that_matches_wins() {
    let route = |namespace: &str, storage: &str| Route {
        matches: Match {
            namespace: Some(namespace.to_owned()),
            ..Match::default()
        },
        storage: Some(storage.to_owned()),
        caching: None,
    };
    let routes = vec![route("ml-*", "nfs"), route("*", "hostpath")];
    let config = Config {
        routes,
        ..Config::default()
    };
    let registry = registry(config).unwrap();
    let name = |namespace| {
        registry
            .storage(SourceType::Cos, namespace, &BTreeMap::new())
            .unwrap()
            .name()
            .to_owned()
    };
    assert_eq!(name("ml-a"), "nfs");
    assert_eq!(name("web"), "hostpath");
}

#[test]
fn a_route_to_nowhere_and_a_name_taken_twice_are_refused() {
    let routes = vec![Route {
        storage: Some("acme".to_owned()),
        ..Route::default()
    }];
    let config = Config {
        routes,
        ..Config::default()
    };
    let error = registry(config).err().unwrap().to_string();
    assert!(
        error.contains("route[0].storage") && error.contains("s3fs"),
        "{error}"
    );
    let taken = with("s3fs", isolated(), Vec::new());
    let error = registry(taken).err().unwrap().to_string();
    assert!(error.contains("another name"), "{error}");
    let unknown = with("acme", section(Carrier::Builtin), Vec::new());
    let error = registry(unknown).err().unwrap().to_string();
    assert!(error.contains("plugins.acme"), "{error}");
}

fn isolated() -> PluginConfig {
    PluginConfig {
        url: Some("https://acme:8443".to_owned()),
        ..section(Carrier::Isolated)
    }
}

fn caching(name: &str) -> Route {
    Route {
        caching: Some(name.to_owned()),
        ..Route::default()
    }
}

#[test]
fn a_dataset_has_the_cache_it_asks_for_or_that_of_its_route() {
    let none = BTreeMap::new();
    let name = |registry: &Registry, asked: Option<&str>| {
        let found = registry.caching(asked, SourceType::Cos, "ns", &none);
        found.map(|found| found.map(|plugin| plugin.name().to_owned()))
    };
    let plain = registry(with("acme", isolated(), Vec::new())).unwrap();
    assert_eq!(name(&plain, None).unwrap(), None);
    assert_eq!(name(&plain, Some("acme")).unwrap().as_deref(), Some("acme"));
    let routed = registry(with("acme", isolated(), vec![caching("acme")])).unwrap();
    assert_eq!(name(&routed, None).unwrap().as_deref(), Some("acme"));
    for wrong in ["other", "s3fs"] {
        let error = name(&plain, Some(wrong)).unwrap_err().to_string();
        assert!(error.contains(wrong) && error.contains("acme"), "{error}");
    }
    assert!(registry(with("acme", isolated(), vec![caching("s3fs")])).is_err());
}

#[tokio::test]
async fn a_plugin_that_is_not_there_stops_nobody_and_says_so() {
    let registry = registry(with("acme", isolated(), Vec::new())).unwrap();
    let acme = registry.plugins().find(|plugin| plugin.name() == "acme");
    let acme = acme.unwrap();
    let seen = |plugin: &Plugin| serde_json::to_value(plugin.seen()).unwrap();
    assert_eq!(seen(acme)["state"], "unknown");
    let error = acme.caching().await.err().unwrap();
    assert_eq!(error.reason, "PluginUnreachable");
    assert_eq!(seen(acme)["state"], "failing");
    let why = seen(acme)["error"].to_string();
    assert!(why.contains("nobody listens there"), "{why}");
}

#[test]
fn a_library_that_is_not_there_is_refused_with_its_key() {
    let library = PluginConfig {
        path: Some(PathBuf::from("/nowhere/libacme.so")),
        ..section(Carrier::InProcess)
    };
    let error = registry(with("acme", library, Vec::new())).err().unwrap();
    let error = error.to_string();
    assert!(
        error.contains("plugins.acme.path") && error.contains("/nowhere"),
        "{error}"
    );
}

/// A plugin that is compiled in and takes no key of a configuration.
struct Unconfigured;

#[async_trait::async_trait]
impl StoragePlugin for Unconfigured {
    fn describe(&self) -> PluginInfo {
        PluginInfo {
            name: "unconfigured".to_owned(),
            config_schema: Some(serde_json::json!({ "additionalProperties": false })),
            ..Nfs.describe()
        }
    }

    async fn plan(&self, request: &StorageRequest) -> Result<StoragePlan, PlanError> {
        Nfs.plan(request).await
    }
}

#[test]
fn a_section_of_a_plugin_that_is_compiled_in_is_checked_at_the_start() {
    let made = |config| {
        let section = PluginConfig {
            config,
            ..section(Carrier::Builtin)
        };
        Registry::new(
            [BuiltIn::Storage(Arc::new(Unconfigured))],
            Arc::new(with("unconfigured", section, Vec::new())),
            &NoConnectors,
            &Metrics::default(),
        )
    };
    assert!(made(serde_json::Value::Null).is_ok());
    let error = made(serde_json::json!({ "bogus": 5 })).err().unwrap();
    let error = error.to_string();
    assert!(
        error.starts_with("plugins.unconfigured.config: ") && error.contains("found bogus"),
        "{error}"
    );
}

#[test]
fn keys_of_sources_are_for_plugins_that_were_granted_them() {
    let needs = Needs { source_keys: true };
    let granted = |grants: BTreeSet<Grant>| {
        let section = PluginConfig {
            grants,
            ..isolated()
        };
        let registry = registry(with("acme", section, Vec::new())).unwrap();
        let plugin = registry.plugins["acme"].clone();
        assert_eq!(plugin.granted(Needs::default()), Ok(()));
        plugin.granted(needs)
    };
    assert_eq!(granted(BTreeSet::from([Grant::SourceKeys])), Ok(()));
    let refused = granted(BTreeSet::new()).unwrap_err();
    assert_eq!(refused.reason, "NotGranted");
    assert!(refused.message.contains("[plugins.acme]"), "{refused}");
    let registry = registry(Config::default()).unwrap();
    assert_eq!(registry.plugins["nfs"].granted(needs), Ok(()));
}
