use thiserror::Error;

use crate::carrier::library::LoadError;

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
