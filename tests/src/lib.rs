//! What tests against a real cluster share: a namespace of one's own that must leave nothing
//! behind, `kubectl` as a user would type it, an S3 client that is not ours, and patience with a
//! bound.
//!
//! Paths are relative: cargo runs tests in the directory of their package. An absolute one of the time
//! when they were built would be that of another checkout, where several build into one directory.

mod chart;
mod cluster;
mod command;
mod kubectl;
mod manifests;
mod namespace;
mod process;
mod reader;
mod s3;
mod settings;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

pub use chart::{Values, helm, helm_with, installed_mounter, upgrade};
pub use cluster::{Node, SecondS3, cluster_script, is_mounter, kernel_has_nfs, on_our_own_cluster};
pub use command::{Output, run};
pub use kubectl::{kubectl, kubectl_with};
pub use manifests::{DATASETS, POD_WITHIN, SLEEP, dataset, dataset_with_secret, keys, pod, source};
pub use namespace::{NAMED_WITHIN, Namespace};
pub use process::{processes, processes_of_pod};
pub use reader::Reader;
pub use s3::{Bucket, s3, s3_at, unique};
pub use settings::{Settings, is_given, settings};

/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits until `look` gives Ok, and gives what it gave.
///
/// # Panics
/// When it still gives an error after `patience`: with what was waited for and that error.
pub fn eventually<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return found,
            Err(error) => {
                assert!(
                    Instant::now() < deadline,
                    "waited {patience:?} for {what}: {error}"
                );
                sleep(LOOK_EVERY);
            }
        }
    }
}

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
