//! Pods on real nodes read and write real sources.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod examples;
mod mounts;
