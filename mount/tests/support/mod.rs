//! A real mount for a test: the mounter's own binary, the driver's part of `mount(2)`, a bucket of
//! a real S3 server.
//!
//! Needs root and `/dev/fuse`. Which server: see `dlf_tests::settings`.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

pub mod bucket;
pub mod bytes;
pub mod cgroup;
pub mod file;
pub mod http_proxy;
pub mod link;
pub mod load;
pub mod mounter;
pub mod place;
pub mod program;
pub mod proxy;
pub mod shaped;

use dlf_tests::settings;

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
        Some(Self {
            endpoint: settings().find("S3_ENDPOINT")?,
            key: settings().find("S3_KEY")?,
            secret: settings().find("S3_SECRET")?,
        })
    }
}
