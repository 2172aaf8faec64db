//! Parts are killed under a pod that reads. One test at a time: what is killed serves others too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod installation;
mod node;
mod operator;
mod reader;
mod source;
