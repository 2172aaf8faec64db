//! Plugins of others on a real cluster: caches by them, and what becomes of a cluster with bad ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache;
mod check;
mod claims;
mod external;
mod hostile;
mod installed;
mod looping;
mod policies;
mod reconciles;
mod shards;
mod shelf;
mod source;
mod storage;
mod upgrade;

#[test]
fn nothing_is_left_of_deleted_namespaces() {
    dlf_tests::nothing_is_left();
}
