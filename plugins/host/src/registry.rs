use std::{collections::BTreeMap, sync::Arc};

use dlf_core::{
    plugin::{PluginKind, ProtocolRange},
    source::SourceType,
};
use thiserror::Error;

use crate::{
    Config,
    carrier::{Channel, Guard, Library, Limits, Socket, library::LoadError, socket::Connect},
    config::{Address, Carrier, PluginConfig},
    metrics::Metrics,
    plugin::{BuiltIn, Plugin},
    route,
};

/// The plugins of this installation and the routes to them.
#[derive(Clone)]
pub struct Registry {
    plugins: BTreeMap<String, Arc<Plugin>>,
    /// Storage plugins by the source type that is theirs without a route.
    defaults: BTreeMap<SourceType, String>,
    config: Arc<Config>,
}

/// How plugins are reached that are not compiled in.
pub trait Roads: Send + Sync {
    /// Makes connections to an isolated plugin.
    fn isolated(&self, address: Address) -> Box<dyn Connect>;
}

/// Why plugins and configuration do not fit together.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Two plugins of one name.
    #[error(
        "two plugins are called {name:?}, and one of them is built in; give plugins.{name} another name"
    )]
    Duplicate {
        /// The name.
        name: String,
    },
    /// No protocol version in common.
    #[error(
        "plugin {name:?} speaks protocol {min} to {max}, this host {host}; use a version of the plugin that speaks it"
    )]
    Protocol {
        /// The plugin.
        name: String,
        /// Its lowest.
        min: u32,
        /// Its highest.
        max: u32,
        /// The host's.
        host: u32,
    },
    /// A route or a section names a plugin that is not there, or of the other kind.
    #[error("{key}: there is no {kind}plugin {name:?}; there are {known}")]
    Unknown {
        /// Where in the configuration.
        key: String,
        /// What it has to be: a word and a space, or nothing.
        kind: &'static str,
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A key of a plugin's section does not fit.
    #[error("plugins.{name}.{key}: {why}")]
    Section {
        /// The plugin.
        name: String,
        /// The key.
        key: &'static str,
        /// What was found and what was expected.
        why: String,
    },
    /// A library cannot be loaded.
    #[error("plugins.{name}.path: {source}")]
    Library {
        /// The plugin.
        name: String,
        /// Why.
        source: LoadError,
    },
    /// No plugin plans this type.
    #[error("no storage plugin plans sources of type {kind}")]
    NoPlugin {
        /// The type.
        kind: &'static str,
    },
}

impl Registry {
    /// A registry of these plugins and those of the configuration. The first plugin of a source type
    /// is that type's default.
    pub fn new(
        built_in: impl IntoIterator<Item = BuiltIn>,
        config: Arc<Config>,
        roads: &dyn Roads,
        metrics: &Metrics,
    ) -> Result<Self, RegistryError> {
        let mut registry = Self {
            plugins: BTreeMap::new(),
            defaults: BTreeMap::new(),
            config,
        };
        for plugin in built_in {
            registry.add_built_in(plugin)?;
        }
        for (name, section) in &Arc::clone(&registry.config).plugins {
            registry.add_section(name, section, roads, metrics)?;
        }
        registry.check_routes()?;
        Ok(registry)
    }

    fn add_built_in(&mut self, plugin: BuiltIn) -> Result<(), RegistryError> {
        let info = plugin.describe();
        let host = ProtocolRange::CURRENT.max;
        if !(info.protocol.min..=info.protocol.max).contains(&host) {
            let ProtocolRange { min, max } = info.protocol;
            return Err(RegistryError::Protocol {
                name: info.name,
                min,
                max,
                host,
            });
        }
        if info.kind == PluginKind::Storage {
            for kind in info.source_types {
                let name = || info.name.clone();
                self.defaults.entry(kind).or_insert_with(name);
            }
        }
        self.insert(Plugin::built_in(info.name, plugin))
    }

    fn add_section(
        &mut self,
        name: &str,
        section: &PluginConfig,
        roads: &dyn Roads,
        metrics: &Metrics,
    ) -> Result<(), RegistryError> {
        let misfit = |(key, why)| RegistryError::Section {
            name: name.to_owned(),
            key,
            why,
        };
        let (place, channel): (String, Arc<dyn Channel>) = match section.carrier {
            Carrier::Builtin => return self.find(name, &format!("plugins.{name}"), None).map(drop),
            Carrier::External => {
                let writer = section.writer().map_err(misfit)?;
                return self.insert(Plugin::external(name.to_owned(), writer.to_owned()));
            }
            Carrier::Isolated => {
                let address = section.address().map_err(misfit)?;
                let place = section.url.clone().unwrap_or_default();
                (place, Arc::new(Socket::to(roads.isolated(address))))
            }
            Carrier::InProcess => {
                let path = section.library().map_err(misfit)?;
                let library = Library::load(path, section.sha256.as_deref()).map_err(|source| {
                    RegistryError::Library {
                        name: name.to_owned(),
                        source,
                    }
                })?;
                (path.display().to_string(), Arc::new(library))
            }
        };
        let guard = Guard::new(name, channel, Limits::default(), metrics.clone());
        let plugin = Plugin::remote(name.to_owned(), section.carrier, place, Arc::new(guard));
        self.insert(plugin)
    }

    fn insert(&mut self, plugin: Plugin) -> Result<(), RegistryError> {
        let name = plugin.name().to_owned();
        match self.plugins.insert(name.clone(), Arc::new(plugin)) {
            None => Ok(()),
            Some(_) => Err(RegistryError::Duplicate { name }),
        }
    }

    fn check_routes(&self) -> Result<(), RegistryError> {
        for (index, route) in self.config.routes.iter().enumerate() {
            for (key, name, kind) in [
                ("storage", &route.storage, PluginKind::Storage),
                ("caching", &route.caching, PluginKind::Caching),
            ] {
                if let Some(name) = name {
                    self.find(name, &format!("route[{index}].{key}"), Some(kind))?;
                }
            }
        }
        Ok(())
    }

    /// The plugin of a name, unless it is known to be of the other kind.
    fn find(
        &self,
        name: &str,
        key: &str,
        kind: Option<PluginKind>,
    ) -> Result<&Arc<Plugin>, RegistryError> {
        let fits = |plugin: &Plugin| match (kind, plugin.known_kind()) {
            (Some(kind), Some(known)) => kind == known,
            _ => true,
        };
        let found = self.plugins.get(name).filter(|plugin| fits(plugin));
        found.ok_or_else(|| {
            let known: Vec<&str> = self
                .plugins
                .values()
                .filter(|plugin| fits(plugin))
                .map(|plugin| plugin.name())
                .collect();
            RegistryError::Unknown {
                key: key.to_owned(),
                kind: match kind {
                    Some(PluginKind::Storage) => "storage ",
                    Some(PluginKind::Caching) => "caching ",
                    None => "",
                },
                name: name.to_owned(),
                known: if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                },
            }
        })
    }

    /// The plugin that plans how pods mount a dataset's source.
    pub fn storage(
        &self,
        kind: SourceType,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<&Arc<Plugin>, RegistryError> {
        let routed = route::named(&self.config.routes, kind, namespace, labels, |route| {
            route.storage.as_deref()
        });
        routed
            .or_else(|| self.defaults.get(&kind).map(String::as_str))
            .and_then(|name| self.plugins.get(name))
            .ok_or(RegistryError::NoPlugin {
                kind: kind.as_str(),
            })
    }

    /// The plugin that plans a dataset's cache: the one it asks for, or else a route's; none when
    /// neither has a say.
    pub fn caching(
        &self,
        asked: Option<&str>,
        kind: SourceType,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Option<&Arc<Plugin>>, RegistryError> {
        let routed = || {
            route::named(&self.config.routes, kind, namespace, labels, |route| {
                route.caching.as_deref()
            })
        };
        let Some(name) = asked.or_else(routed) else {
            return Ok(None);
        };
        let key = "spec.cache.plugin";
        self.find(name, key, Some(PluginKind::Caching)).map(Some)
    }

    /// All of them, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.values()
    }

    /// Isolated plugins with the hosts of their URLs.
    #[must_use]
    pub fn isolated(&self) -> BTreeMap<String, String> {
        let sections = self.config.plugins.iter();
        let addresses = sections.filter_map(|(name, section)| {
            let address = Address::parse(section.url.as_deref()?)?;
            Some((name.clone(), address.host))
        });
        addresses.collect()
    }

    /// The plugin's own section of the configuration; null when there is none.
    #[must_use]
    pub fn plugin_config(&self, name: &str) -> serde_json::Value {
        self.config
            .plugins
            .get(name)
            .map(|plugin| plugin.config.clone())
            .unwrap_or_default()
    }

    /// Service accounts that may write effective sources beside the operator.
    pub fn internal_writers(&self) -> impl Iterator<Item = &str> {
        let named = self.config.admission.internal_writers.iter();
        let sections = self.config.plugins.values();
        let external = sections.filter_map(|plugin| plugin.service_account.as_deref());
        named.map(String::as_str).chain(external)
    }

    /// The configuration this registry was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use dlf_plugin_hostpath::HostPath;
    use dlf_plugin_nfs::Nfs;
    use dlf_plugin_s3fs::S3fs;

    use super::*;
    use crate::config::{Match, Route};

    struct NoRoads;

    impl Roads for NoRoads {
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
        Registry::new(built_in(), Arc::new(config), &NoRoads, &Metrics::default())
    }

    fn section(carrier: Carrier) -> PluginConfig {
        PluginConfig {
            carrier,
            url: None,
            path: None,
            sha256: None,
            service_account: None,
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
}
