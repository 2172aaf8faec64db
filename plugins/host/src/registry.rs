use std::{collections::BTreeMap, sync::Arc};

use dlf_core::{
    plugin::{ProtocolRange, StoragePlugin},
    source::SourceType,
};
use thiserror::Error;

use crate::{Config, route};

/// The plugins of this installation and the routes to them.
#[derive(Clone)]
pub struct Registry {
    storage: BTreeMap<String, Arc<dyn StoragePlugin>>,
    defaults: BTreeMap<SourceType, String>,
    config: Arc<Config>,
}

/// Why plugins and configuration do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// Two plugins of one name.
    #[error("two storage plugins are called {name:?}; rename one")]
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
    /// A route or a section names a plugin that is not there.
    #[error("{key}: there is no storage plugin {name:?}; there are {known}")]
    Unknown {
        /// Where in the configuration.
        key: String,
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// No plugin plans this type.
    #[error("no storage plugin plans sources of type {kind}")]
    NoPlugin {
        /// The type.
        kind: &'static str,
    },
}

impl Registry {
    /// A registry of these plugins under this configuration. The first plugin of a source type is
    /// that type's default.
    pub fn new(
        plugins: impl IntoIterator<Item = Arc<dyn StoragePlugin>>,
        config: Arc<Config>,
    ) -> Result<Self, RegistryError> {
        let mut registry = Self {
            storage: BTreeMap::new(),
            defaults: BTreeMap::new(),
            config,
        };
        for plugin in plugins {
            registry.add(plugin)?;
        }
        registry.check_names()?;
        Ok(registry)
    }

    fn add(&mut self, plugin: Arc<dyn StoragePlugin>) -> Result<(), RegistryError> {
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
        for kind in info.source_types {
            self.defaults
                .entry(kind)
                .or_insert_with(|| info.name.clone());
        }
        match self.storage.insert(info.name.clone(), plugin) {
            None => Ok(()),
            Some(_) => Err(RegistryError::Duplicate { name: info.name }),
        }
    }

    fn check_names(&self) -> Result<(), RegistryError> {
        let sections = self
            .config
            .plugins
            .keys()
            .map(|name| (format!("plugins.{name}"), name));
        let routes = self
            .config
            .routes
            .iter()
            .enumerate()
            .filter_map(|(index, route)| {
                route
                    .storage
                    .as_ref()
                    .map(|name| (format!("route[{index}].storage"), name))
            });
        for (key, name) in sections.chain(routes) {
            if !self.storage.contains_key(name) {
                let known = self.storage.keys().cloned().collect::<Vec<_>>().join(", ");
                return Err(RegistryError::Unknown {
                    key,
                    name: name.clone(),
                    known,
                });
            }
        }
        Ok(())
    }

    /// The plugin that plans a dataset's source, with its name.
    pub fn storage(
        &self,
        kind: SourceType,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(&str, Arc<dyn StoragePlugin>), RegistryError> {
        route::storage(&self.config.routes, kind, namespace, labels)
            .or_else(|| self.defaults.get(&kind).map(String::as_str))
            .and_then(|name| self.storage.get_key_value(name))
            .map(|(name, plugin)| (name.as_str(), Arc::clone(plugin)))
            .ok_or(RegistryError::NoPlugin {
                kind: kind.as_str(),
            })
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

    /// The configuration this registry was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

#[cfg(test)]
mod tests {
    use dlf_plugin_hostpath::HostPath;
    use dlf_plugin_nfs::Nfs;
    use dlf_plugin_s3fs::S3fs;

    use super::*;
    use crate::config::{Match, Route};

    fn built_in() -> Vec<Arc<dyn StoragePlugin>> {
        vec![Arc::new(S3fs), Arc::new(Nfs), Arc::new(HostPath)]
    }

    #[test]
    fn without_a_file_each_type_has_its_built_in_plugin() {
        let registry = Registry::new(built_in(), Arc::default()).unwrap();
        let name = |kind| {
            registry
                .storage(kind, "ns", &BTreeMap::new())
                .unwrap()
                .0
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
        };
        let routes = vec![route("ml-*", "nfs"), route("*", "hostpath")];
        let config = Config {
            routes,
            ..Config::default()
        };
        let registry = Registry::new(built_in(), Arc::new(config)).unwrap();
        let name = |namespace| {
            registry
                .storage(SourceType::Cos, namespace, &BTreeMap::new())
                .unwrap()
                .0
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
        let error = Registry::new(built_in(), Arc::new(config))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("route[0].storage") && error.contains("s3fs"),
            "{error}"
        );
        let twice = built_in()
            .into_iter()
            .chain([Arc::new(S3fs) as Arc<dyn StoragePlugin>]);
        assert!(matches!(
            Registry::new(twice, Arc::default()),
            Err(RegistryError::Duplicate { .. })
        ));
    }
}
