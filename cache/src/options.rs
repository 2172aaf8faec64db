//! What a client may be told beside its origins.

use std::time::Duration;

use dlf_core::network::AddressRules;

/// Settings that hold for every origin of a store.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long an operation may go without any progress before it fails: failures that may pass
    /// (the source is away, overloaded, restarting) are retried within it.
    pub source_timeout: Duration,
    /// How long an operation whose keys are refused ([`crate::ErrorKind::rejects_keys`]) waits for
    /// others ([`crate::ObjectStore::reconfigure`]), counted from the first refusal since the keys
    /// last worked or changed: keys that stay wrong fail every later operation at once.
    ///
    /// None by default, so that a probe tells of wrong keys. Mounts give
    /// [`ClientOptions::KEY_GRACE_OF_MOUNT`]. It comes on top of `source_timeout`.
    pub key_grace: Duration,
    /// Which addresses may be dialled.
    pub rules: AddressRules,
}

impl ClientOptions {
    /// Longer than a restart of a common store, shorter than a reader's patience.
    pub const SOURCE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(90);

    /// What a rotated key takes from its Secret to a mount at most: the watch, one reconcile and the
    /// node's stream. Whoever revokes the old key at once loses no read.
    pub const KEY_GRACE_OF_MOUNT: Duration = Duration::from_secs(30);
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            source_timeout: Self::SOURCE_TIMEOUT_DEFAULT,
            key_grace: Duration::ZERO,
            rules: AddressRules::default(),
        }
    }
}
