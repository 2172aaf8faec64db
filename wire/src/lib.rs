//! Protobuf messages and generated services: the node stream and the worker's, the mounter's
//! socket, CSI and the kubelet's plugin registration; the [`channel`] that carries the mounter's,
//! and how to [`dial`] the operator.
//!
//! The sources are in `proto/`; the generated code is committed and a test proves it current.

#![allow(
    clippy::large_enum_variant,
    reason = "one message at a time, and it is on its way"
)]

pub mod channel;
pub mod dial;

/// What a node or a worker has to know of a dataset.
#[allow(
    missing_docs,
    clippy::pedantic,
    reason = "generated code follows its generator's style and is documented in its .proto file"
)]
pub mod dataset {
    /// Version 1.
    pub mod v1 {
        include!("generated/dlf.dataset.v1.rs");

        impl std::fmt::Debug for Keys {
            /// Says that there are keys and shows none of them.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Keys").finish_non_exhaustive()
            }
        }
    }
}

/// What a mount wrote and its source does not have.
#[allow(
    missing_docs,
    clippy::pedantic,
    reason = "generated code follows its generator's style and is documented in its .proto file"
)]
pub mod writes {
    /// Version 1.
    pub mod v1 {
        include!("generated/dlf.writes.v1.rs");
    }
}

/// The stream between the operator and node drivers, and between the operator and workers.
#[allow(
    missing_docs,
    clippy::pedantic,
    reason = "generated code follows its generator's style and is documented in its .proto file"
)]
pub mod nodes {
    /// Version 1.
    pub mod v1 {
        include!("generated/dlf.nodes.v1.rs");

        impl std::fmt::Debug for Token {
            /// Says that there is a token and does not show it.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Token").finish_non_exhaustive()
            }
        }
    }
}

impl nodes::v1::Failure {
    /// A class in CamelCase and a sentence for a person.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            unreachable: String::new(),
        }
    }
}

/// The socket between the node driver and a mounter.
#[allow(
    missing_docs,
    clippy::pedantic,
    reason = "generated code follows its generator's style and is documented in its .proto file"
)]
pub mod mounter {
    /// Uids, and gids, of datasets: the driver gives each dataset on its node one of them, and the
    /// mounter takes no other. They are above the mounter's own, which begin at 700,000, and more
    /// than a node will ever have datasets.
    pub const DATASET_UIDS: std::ops::Range<u32> = 701_000..761_000;

    /// Reason of a `Failed`: the mounter's memory is not enough for another mount now.
    pub const NO_MEMORY: &str = "MounterMemory";

    /// Version 1.
    pub mod v1 {
        include!("generated/dlf.mounter.v1.rs");
    }
}

/// The Container Storage Interface, as much of it as a node-only driver uses.
#[allow(
    missing_docs,
    clippy::pedantic,
    reason = "generated code follows its generator's style and is documented in its .proto file"
)]
pub mod csi {
    include!("generated/csi.v1.rs");
}

/// How a CSI driver registers itself with the kubelet.
#[allow(
    missing_docs,
    clippy::pedantic,
    reason = "generated code follows its generator's style and is documented in its .proto file"
)]
pub mod pluginregistration {
    include!("generated/pluginregistration.rs");
}
