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
mod turns;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use dlf_core::plugin::DatasetRef;

pub use fault::{Fault, Pause};
pub use guard::{Culprit, Guard, Limits};
pub use library::Library;
pub use process::Process;
pub use remote::{NegotiationError, Remote};
pub use serve::serve;
pub use socket::Socket;
pub use turns::Turns;

/// A reply that is longer is not read: 4 MiB is ten times the largest plan that makes sense.
pub const REPLY_BYTES_MAX: usize = 4 << 20;
/// Time for one answer, from when the plugin has the question.
pub const ANSWER: Duration = Duration::from_secs(5);
/// Time for a plugin to be reached. A program has a second less to start, and says then what it did.
pub const OPEN: Duration = Duration::from_secs(5);

/// A `Message` as JSON, and whose plan it asks for.
#[derive(Clone, Debug)]
pub struct Question {
    /// JSON.
    pub message: Vec<u8>,
    /// Whose plan it is; none where it is no plan, or nobody looked.
    pub dataset: Option<Whose>,
}

impl From<Vec<u8>> for Question {
    fn from(message: Vec<u8>) -> Self {
        Self {
            message,
            dataset: None,
        }
    }
}

/// A Dataset as far as it can be to blame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Whose {
    namespace: String,
    name: String,
    uid: String,
}

impl From<&DatasetRef> for Whose {
    fn from(dataset: &DatasetRef) -> Self {
        Self {
            namespace: dataset.namespace.clone(),
            name: dataset.name.clone(),
            uid: dataset.uid.clone(),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A way to a plugin.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends a `Message` and waits for its `Reply`, both as JSON.
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault>;

    /// Has the plugin ready to be asked, so that its start is not taken for the time of an answer.
    async fn open(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// A call was given up: begins anew with the plugin, where that can be done.
    async fn reset(&self) {}

    /// Grows whenever somebody else may answer: who it is has to be asked again.
    fn generation(&self) -> u64 {
        0
    }

    /// What keeps the plugin from answering anybody, if it did so the last time.
    fn fault(&self) -> Option<String> {
        None
    }

    /// The Datasets whose plans it failed over.
    fn culprits(&self) -> Vec<Culprit> {
        Vec::new()
    }
}
