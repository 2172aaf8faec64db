//! The host's side of plugins: the configuration file, the registry, and which plugin plans which
//! dataset.

pub mod config;
mod registry;
mod route;

pub use config::{Config, ConfigError};
pub use registry::{Registry, RegistryError};
