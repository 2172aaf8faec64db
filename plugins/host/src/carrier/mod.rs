//! Carriers: ways to run a plugin that is not compiled in. Each is a [`Channel`] that takes messages
//! of the protocol, and [`Remote`] makes a plugin of any of them.

mod fault;
pub mod frame;
mod guard;
pub mod library;
pub mod process;
mod remote;
mod serve;
pub mod socket;

use async_trait::async_trait;

pub use fault::Fault;
pub use guard::{Guard, Limits};
pub use library::Library;
pub use process::Process;
pub use remote::{NegotiationError, Remote};
pub use serve::serve;
pub use socket::Socket;

/// A reply that is longer is not read: 4 MiB is ten times the largest plan that makes sense.
pub const REPLY_BYTES_MAX: usize = 4 << 20;

/// A way to a plugin.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends a `Message` and waits for its `Reply`, both as JSON.
    async fn call(&self, message: Vec<u8>) -> Result<Vec<u8>, Fault>;

    /// The plugin has failed again and again: begins anew with it, where that can be done.
    async fn reset(&self) {}

    /// Grows whenever somebody else may answer: who it is has to be asked again.
    fn generation(&self) -> u64 {
        0
    }

    /// What the plugin did instead of answering, if it did so the last time.
    fn fault(&self) -> Option<String> {
        None
    }
}
