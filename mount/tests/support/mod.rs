//! A real mount for a test: the mounter's own binary, the driver's part of `mount(2)`, a bucket of
//! a real S3 server.
//!
//! Needs root and `/dev/fuse`. Which server: `S3_ENDPOINT`, `S3_KEY` and `S3_SECRET`, or what
//! `make cluster` wrote to `target/cluster/cluster.env`.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

pub mod bucket;
pub mod mounter;
pub mod proxy;

use std::collections::HashMap;
use std::path::PathBuf;

/// The server that tests use.
#[derive(Clone, Debug)]
pub struct Server {
    pub endpoint: String,
    pub key: String,
    pub secret: String,
}

/// The server, or a line that says why the test did not run.
pub fn server(test: &str) -> Option<Server> {
    let found = Server::find();
    if found.is_none() {
        println!("SKIPPED {test}: no S3 server (run make cluster)");
    }
    found
}

impl Server {
    fn find() -> Option<Self> {
        let file = cluster_env();
        let value = |name: &str| std::env::var(name).ok().or_else(|| file.get(name).cloned());
        Some(Self {
            endpoint: value("S3_ENDPOINT")?,
            key: value("S3_KEY")?,
            secret: value("S3_SECRET")?,
        })
    }
}

fn cluster_env() -> HashMap<String, String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/cluster/cluster.env");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}
