//! Controllers: from what users and third parties write to what exists in the cluster.
//!
//! A reconcile goes dereference → validate → plan → resolve → build → apply → status. What a step needs
//! it gets from those before; only `resolve`, `apply`, `internal` and `status` touch the API server.

pub mod cache;
mod context;
mod dataset;
#[cfg(test)]
mod documented;
pub mod error;
mod events;
pub mod gates;
mod metrics;
pub mod names;
pub mod owned;
mod plans;
mod plugins;
mod queue;
mod run;
mod status;
mod usage;
mod watched;

pub use context::{Context, KeyedLock, Shared, Stopwatches, Stores};
pub use error::Next;
pub use events::Recorder;
pub use metrics::Metrics;
pub use run::{Inputs, run};
