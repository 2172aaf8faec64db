//! Controllers: from what users and third parties write to what exists in the cluster.
//!
//! Each reconcile goes dereference → validate → build → apply → status. What a step needs it gets
//! from the one before; only `dereference`, `apply` and `status` touch the API server.

pub mod cache;
mod context;
mod control;
mod dataset;
pub mod error;
mod events;
pub mod gates;
mod internal;
mod ledger;
mod line;
mod metrics;
pub mod names;
mod noted;
pub mod owned;
mod references;
mod retry;
mod run;
mod states;
mod status;
mod watched;

pub use context::{Context, Lanes, Shared, Stores};
pub use error::Next;
pub use metrics::Metrics;
pub use noted::Noted;
pub use run::{Parts, run};
