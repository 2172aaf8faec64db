//! What a tenant tries who wants more than is his. Each is refused, or does no harm to others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod claims;
mod internal;
mod keys;
mod labels;
mod operator;
mod pods;
mod ports;
mod search;
mod secrets;
mod staged;
mod store;
mod stores;
mod tenant;

#[test]
fn nothing_is_left_of_deleted_namespaces() {
    dlf_tests::nothing_is_left();
}
