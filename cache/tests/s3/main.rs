//! The client against a real S3 server, and against one that a proxy makes misbehave.
//!
//! `make cluster` starts the server. Without it every test says that it was skipped.

// Clippy knows tests by their attribute; what they share has none.
#![allow(clippy::unwrap_used)]

#[macro_use]
mod support;

mod buckets;
mod caches;
mod copies;
mod deletes;
mod faults;
mod hostile;
mod lost;
mod proxy;
mod reads;
mod reads_ahead;
mod refusals;
mod rotation;
mod shards;
mod versions;
mod writes;
