//! Parts are killed under a pod that reads. One test at a time: what is killed serves others too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_server;
mod burst;
mod certificates;
mod clock;
mod full;
mod gone;
mod growth;
mod installation;
mod load;
mod memory;
mod node;
mod operator;
mod ours;
mod records;
mod refusals;
mod requests;
mod source;
mod temporary_keys;
mod webhook;
mod writers;
mod writes;

/// Runs last: namespaces of tests go while others run.
#[test]
fn nothing_is_left_of_deleted_namespaces() {
    dlf_tests::nothing_is_left();
}
