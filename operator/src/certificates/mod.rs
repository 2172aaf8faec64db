//! The installation's own certificate authority: who trusts it, and the certificate each replica
//! makes itself from it.

mod authority;
mod keep;
mod keyring;
mod leaf;
mod plugins;
mod publish;

pub use keep::{keep_authority, keep_leaf};
pub use leaf::{Leaf, server_config};
pub use plugins::keep_plugin_certificates;

/// Name of the Secret with the authority's keys and of the ConfigMap with its public bundle.
pub const NAME: &str = "dlf-ca";
/// Key of the bundle in the ConfigMap.
pub const BUNDLE_KEY: &str = "ca.crt";

#[cfg(test)]
mod tests;
