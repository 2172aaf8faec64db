//! The host's side of plugins: the configuration file, the registry, which plugin plans which dataset,
//! and the carriers that run plugins which are not compiled in.

pub mod carrier;
pub mod config;
pub mod metrics;
mod plugin;
mod registry;
mod route;
pub mod schema;

pub use config::{Config, ConfigError};
pub use plugin::{BuiltIn, Plugin, Seen};
pub use registry::{Connectors, Registry, RegistryError};
