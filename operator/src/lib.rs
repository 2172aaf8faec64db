//! The operator of DLF: controllers, webhooks and the streams to nodes and workers; the only
//! writer of cluster objects.

pub mod certificates;
pub mod controller;
pub mod crds;
pub mod http;
pub mod installation;
pub mod leader;
mod memory;
pub mod metrics;
pub mod nodes;
mod once;
pub mod plugins;
pub mod pods;
pub mod replica;
pub mod requests;
pub mod settings;
pub mod tasks;
pub mod telemetry;
pub mod uninstall;
pub mod waker;
pub mod watches;
pub mod webhook;
