//! What tests against a real cluster share: a namespace of one's own that must leave nothing
//! behind, `kubectl` as a user would type it, a client of the API server that watches what is waited for,
//! an S3 client that is not ours, and patience with a bound.
//!
//! Paths are relative: cargo runs tests in the directory of their package. An absolute one of the time
//! when they were built would be that of another checkout, where several build into one directory.

mod chart;
mod client;
mod cluster;
mod command;
mod kinds;
mod kubectl;
mod manifests;
mod namespace;
mod objects;
mod patience;
mod process;
mod program;
mod reader;
mod remains;
mod s3;
mod settings;
mod skip;
mod staged;

pub use chart::{Values, helm, helm_with, installed_mounter, upgrade};
pub use client::{answer, client};
pub use cluster::{
    Node, SecondS3, cluster_script, is_mounter, kernel_has_nfs, on_our_own_cluster, tool_is_ready,
};
pub use command::{LONG_LIMIT, Output, run, run_within};
pub use kubectl::{kubectl, kubectl_with, timeout};
pub use manifests::{
    DATASETS, POD_WITHIN, REFUSED, SLEEP, dataset, dataset_with_secret, keys, pod, source,
};
pub use namespace::{NAMED_WITHIN, Namespace};
pub use objects::{await_object, find, list, try_find};
pub use patience::{eventually, is_long, patience};
pub use process::{processes, processes_of_pod};
pub use program::{PROGRAMS, put_program};
pub use reader::Reader;
pub use remains::nothing_is_left;
pub use s3::{Bucket, s3, s3_at, unique};
pub use settings::{Settings, is_given, settings};
pub use skip::skip;
pub use staged::Staged;

/// Gives Ok when `text` contains `part`, else an error that shows both.
///
/// # Errors
/// Both texts.
pub fn contains(text: &str, part: &str) -> Result<(), String> {
    if text.contains(part) {
        Ok(())
    } else {
        Err(format!("expected {part:?} in {text:?}"))
    }
}
