//! Pods on real nodes read and write real sources.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod edits;
mod endings;
mod examples;
mod host_path;
mod large;
mod lifecycle;
mod nfs;
mod pods;
mod refused;
mod running;
mod slide;

#[test]
fn nothing_is_left_of_deleted_namespaces() {
    dlf_tests::nothing_is_left();
}
