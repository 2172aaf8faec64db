//! The operator of DLF: controllers, webhooks and the streams to nodes and workers; the only
//! writer of cluster objects.

pub mod controller;
pub mod installation;
pub mod nodes;
pub mod pods;
pub mod tasks;
