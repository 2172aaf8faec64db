//! The operator and its webhooks against a real API server: what needs no running pod.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admission;
mod chart;
mod dataset;
mod deletion;
mod edits;
mod explain;
mod hands;
mod restored;
mod shown;
mod status;

#[test]
fn nothing_is_left_of_deleted_namespaces() {
    dlf_tests::nothing_is_left();
}
