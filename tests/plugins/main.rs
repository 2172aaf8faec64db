//! Plugins of others on a real cluster: caches by them, and what becomes of a cluster with bad ones.
//! One test at a time: they share the installed plugins.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache;
mod check;
mod claims;
mod external;
mod hostile;
mod installed;
mod policies;
mod reconciles;
mod source;
