mod error;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dlf_core::{
    plugin::{PluginKind, ProtocolRange},
    source::SourceType,
};

pub use self::error::RegistryError;
use crate::{
    Config,
    carrier::{ANSWER, Channel, Guard, Library, Limits, OPEN, Socket, socket::Connect},
    config::{Address, Carrier, PluginConfig},
    metrics::Metrics,
    plugin::{BuiltIn, Plugin, warn_if_unchecked},
    route, schema,
};

/// Time for an answer of a process that runs a plugin, which may have to start it anew. It says itself what the
/// plugin does wrong, a second before it is taken for silent.
const OF_HOST: Duration = OPEN
    .saturating_add(ANSWER)
    .saturating_add(Duration::from_secs(1));

/// The plugins of this installation and the routes to them.
#[derive(Clone)]
pub struct Registry {
    plugins: BTreeMap<String, Arc<Plugin>>,
    /// Storage plugins by the source type that is theirs without a route.
    defaults: BTreeMap<SourceType, String>,
    config: Arc<Config>,
}

/// How plugins are reached that are not compiled in.
pub trait Connectors: Send + Sync {
    /// Makes connections to an isolated plugin.
    fn isolated(&self, address: Address) -> Box<dyn Connect>;
}

impl Registry {
    /// A registry of these plugins and those of the configuration. The first plugin of a source type
    /// is that type's default.
    pub fn new(
        built_in: impl IntoIterator<Item = BuiltIn>,
        config: Arc<Config>,
        connectors: &dyn Connectors,
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
            registry.add_section(name, section, connectors, metrics)?;
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
        connectors: &dyn Connectors,
        metrics: &Metrics,
    ) -> Result<(), RegistryError> {
        let misfit = |(key, why)| RegistryError::Section {
            name: name.to_owned(),
            key,
            why,
        };
        let mut limits = Limits::default();
        let (place, channel): (String, Arc<dyn Channel>) = match section.carrier {
            Carrier::Builtin => {
                let plugin = self.find(name, &format!("plugins.{name}"), None)?;
                return of_built_in(plugin, &section.config).map_err(misfit);
            }
            Carrier::External => {
                let writer = section.writer().map_err(misfit)?;
                return self.insert(Plugin::external(name.to_owned(), writer.to_owned()));
            }
            Carrier::Isolated => {
                let address = section.address().map_err(misfit)?;
                let place = section.url.clone().unwrap_or_default();
                limits.deadline = OF_HOST;
                (place, Arc::new(Socket::to(connectors.isolated(address))))
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
        let guard = Guard::new(name, channel, limits, metrics.clone());
        let plugin = Plugin::remote(
            name.to_owned(),
            section.carrier,
            place,
            Arc::new(guard),
            section.config.clone(),
        );
        self.insert(plugin.with_grants(section.grants.clone()))
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

    /// The configuration this registry was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// Checks the section of a plugin that is compiled in: its schema is known before it is first needed.
fn of_built_in(plugin: &Plugin, section: &serde_json::Value) -> Result<(), (&'static str, String)> {
    let Some(info) = plugin.info() else {
        return Ok(());
    };
    warn_if_unchecked(plugin.name(), &info, section);
    schema::check(&info, section).map_err(|misfit| ("config", misfit.to_string()))
}
