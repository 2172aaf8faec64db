//! The pure heart of DLF: API types, the label grammar, source rules, plugin traits and messages.
//!
//! No I/O, no Kubernetes client, no runtime: everything here is a function of its arguments.

pub mod api;
#[cfg(feature = "kubernetes")]
pub mod condition;
pub mod decision;
pub mod labels;
pub mod names;
pub mod network;
pub mod plugin;
pub mod pods;
pub mod program;
pub mod shards;
pub mod shown;
pub mod source;
