//! The configuration file: TOML, then `DLF_` environment; an error names file, key, what was
//! found and what was expected.

mod place;
mod plugin;

use std::{collections::BTreeMap, path::Path};

use dlf_core::{api::CacheMode, source::SourceType};
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use ipnet::IpNet;
use serde::Deserialize;
use thiserror::Error;

pub use self::plugin::{Address, Carrier, Grant, PluginConfig};

/// Everything a platform engineer configures.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Plugins by the name that routes and datasets use.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Which plugin plans which dataset; the first match wins.
    #[serde(rename = "route")]
    pub routes: Vec<Route>,
    /// Defaults of `spec.cache`.
    pub cache: CacheDefaults,
    /// Addresses that tenants may and may not point us at.
    pub network: Network,
    /// Host paths that namespaces may use; none by default.
    pub host_path: Vec<HostPathRule>,
    /// NFS servers that namespaces may use; any by default.
    pub nfs_server: Vec<NfsServerRule>,
    /// What tenants may write.
    pub admission: Admission,
}

/// Which plugin plans which dataset.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// What a dataset must be; an empty one matches all.
    #[serde(rename = "match")]
    pub matches: Match,
    /// The storage plugin's name; none: the built-in default for the type.
    pub storage: Option<String>,
    /// The caching plugin's name; none: a dataset has to name one itself.
    pub caching: Option<String>,
}

/// What a dataset must be for a route; every field given has to fit.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// Its source's type.
    #[serde(rename = "type")]
    pub kind: Option<SourceType>,
    /// Its namespace; `*` stands for any characters.
    pub namespace: Option<String>,
    /// Labels it has to carry.
    pub labels: BTreeMap<String, String>,
}

/// Defaults of `spec.cache`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct CacheDefaults {
    /// Default of `spec.cache.mode`.
    pub mode: CacheMode,
}

impl Default for CacheDefaults {
    fn default() -> Self {
        Self {
            mode: CacheMode::Auto,
        }
    }
}

/// Addresses that tenants may and may not point us at.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Comes first: allowed whatever the rest says.
    pub allow: Vec<IpNet>,
    /// Refused on top of what is always refused.
    pub deny: Vec<IpNet>,
}

/// A host path that namespaces may use.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct HostPathRule {
    /// Absolute path; it and all below it may be used.
    pub prefix: String,
    /// Namespaces that may; `*` stands for any characters.
    pub namespaces: Vec<String>,
}

/// NFS servers that namespaces may use.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct NfsServerRule {
    /// Host name or address as datasets write it; `*` stands for any characters.
    pub server: String,
    /// Namespaces that may; `*` stands for any characters.
    pub namespaces: Vec<String>,
}

/// What tenants may write.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Admission {
    /// Whether keys may stand in a Dataset.
    pub inline_keys: bool,
    /// Service accounts, as `system:serviceaccount:NAMESPACE:NAME`, that may write DatasetInternal.
    pub internal_writers: Vec<String>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            inline_keys: true,
            internal_writers: Vec::new(),
        }
    }
}

/// What is wrong with the configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there although it was named.
    #[error("{path}: there is no such configuration file; leave --config out for the defaults")]
    Missing {
        /// The file.
        path: String,
    },
    /// A key or a value does not fit.
    #[error("{path}: {detail}")]
    Invalid {
        /// The file.
        path: String,
        /// Key, what was found and what was expected.
        detail: String,
    },
}

/// Environment variables that override the file: `DLF_CONFIG_CACHE__MODE` is `cache.mode`.
const ENVIRONMENT_PREFIX: &str = "DLF_CONFIG_";

impl Config {
    /// Reads a file, or nothing but the environment.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        let shown = path.map_or_else(
            || "environment".to_owned(),
            |path| path.display().to_string(),
        );
        if let Some(path) = path {
            if !path.is_file() {
                return Err(ConfigError::Missing { path: shown });
            }
            figment = figment.merge(Toml::file_exact(path));
        }
        let config: Self = figment
            .merge(Env::prefixed(ENVIRONMENT_PREFIX).split("__"))
            .extract()
            .map_err(|error| ConfigError::Invalid {
                path: shown.clone(),
                detail: placed(path.and_then(|path| place::line(path, &error)), &error),
            })?;
        config
            .check()
            .map_err(|(key, detail)| ConfigError::Invalid {
                path: shown,
                detail: placed(path.and_then(|path| place::line_of(path, &key)), &detail),
            })?;
        Ok(config)
    }

    /// What no type says; an error with the key it is about, as [`place`] takes it.
    fn check(&self) -> Result<(), (Vec<String>, String)> {
        for (name, plugin) in &self.plugins {
            let named = |key: &str| vec!["plugins".to_owned(), name.clone(), key.to_owned()];
            if !is_plugin_name(name) {
                let detail = format!(
                    "plugins.{name}: a plugin's name has up to {PLUGIN_NAME_MAX} lower-case letters, digits and hyphens"
                );
                return Err((vec!["plugins".to_owned(), name.clone()], detail));
            }
            plugin
                .check()
                .map_err(|(key, detail)| (named(key), format!("plugins.{name}.{key}: {detail}")))?;
        }
        for (index, rule) in self.host_path.iter().enumerate() {
            let normal = rule.prefix.starts_with('/')
                && rule.prefix.len() > 1
                && rule.prefix[1..]
                    .split('/')
                    .all(|part| !matches!(part, "" | "." | ".."));
            if !normal {
                let key = ["host_path", &index.to_string(), "prefix"].map(str::to_owned);
                let detail = format!(
                    "host_path.prefix: found {:?}; expected an absolute path below /, without a trailing slash, empty parts, `.` or `..`",
                    rule.prefix
                );
                return Err((key.to_vec(), detail));
            }
        }
        Ok(())
    }

    /// The rule that lets a namespace use a host path: the one with the longest prefix.
    #[must_use]
    pub fn host_path_rule(&self, namespace: &str, path: &str) -> Option<&HostPathRule> {
        self.host_path
            .iter()
            .filter(|rule| {
                path.strip_prefix(rule.prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .filter(|rule| {
                rule.namespaces
                    .iter()
                    .any(|pattern| matches_glob(pattern, namespace))
            })
            .max_by_key(|rule| rule.prefix.len())
    }

    /// Whether a namespace may use an NFS server.
    #[must_use]
    pub fn nfs_server_allowed(&self, namespace: &str, server: &str) -> bool {
        self.nfs_server.is_empty()
            || self.nfs_server.iter().any(|rule| {
                matches_glob(&rule.server, server)
                    && rule
                        .namespaces
                        .iter()
                        .any(|pattern| matches_glob(pattern, namespace))
            })
    }
}

/// Names of plugins become part of names of Deployments, Services and Secrets.
const PLUGIN_NAME_MAX: usize = 40;

fn is_plugin_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PLUGIN_NAME_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// What is wrong, and in which line if that is known.
fn placed(line: Option<usize>, detail: &impl std::fmt::Display) -> String {
    match line {
        Some(line) => format!("line {line}: {detail}"),
        None => detail.to_string(),
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
pub(crate) fn matches_glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(tail) = parts.pop() else { return true };
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
