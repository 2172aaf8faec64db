//! What a client may be told beside its origins.

use std::time::Duration;

use dlf_core::network::AddressRules;

/// Settings that hold for every origin of a store.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long an operation may go without any progress before it fails: failures that may pass
    /// (the source is away, overloaded, restarting) are retried within it.
    pub source_timeout: Duration,
    /// Which addresses may be dialled.
    pub rules: AddressRules,
}

impl ClientOptions {
    /// Longer than a restart of a common store, shorter than a reader's patience.
    pub const SOURCE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(90);
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            source_timeout: Self::SOURCE_TIMEOUT_DEFAULT,
            rules: AddressRules::default(),
        }
    }
}
