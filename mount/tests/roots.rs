//! One mount of several places: two buckets and some prefixes as one tree, which changes while it is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

#[path = "roots/live.rs"]
mod live;
#[path = "roots/tree.rs"]
mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dlf_wire::dataset::v1::{DatasetConfig, Root};
use rustix::io::Errno;
use support::bucket::Bucket;
use support::mounter::{Mount, Mounter, dataset};
use support::place::{REVALIDATE_DEFAULT_MS, volume};

/// A bucket beside the one that all tests share.
const OTHER_BUCKET: &str = "dlf-mount-tests-other";

/// A mount whose origins have a place of their own, and two buckets that it may show places of. Fields go in
/// this order, the buckets' objects last.
struct Tree {
    mount: Mount,
    mounter: Mounter,
    dataset: DatasetConfig,
    /// Where the origins say.
    own: Bucket,
    one: Bucket,
    other: Bucket,
}

impl Tree {
    /// A mount of the roots that are made of the two buckets, with a Dataset's defaults.
    fn start(test: &str, roots: impl FnOnce(&Bucket, &Bucket) -> Vec<Root>) -> Option<Self> {
        let server = support::server(test)?;
        let bucket = Bucket::new(&server, test);
        let (own, one) = (bucket.below("own/"), bucket.below("one/"));
        let other = Bucket::named(&server, OTHER_BUCKET, test);
        let mut dataset = dataset(own.origin());
        let volume = volume(&mut dataset);
        volume.revalidate_ms = Some(REVALIDATE_DEFAULT_MS);
        volume.source_timeout_ms = 0;
        volume.roots = roots(&one, &other);
        let mut mounter = Mounter::start();
        let mount = mounter.mount("m", &dataset, None);
        Some(Self {
            mount,
            mounter,
            dataset,
            own,
            one,
            other,
        })
    }

    fn join(&self, name: &str) -> PathBuf {
        self.mount.join(name)
    }

    /// The dataset with other roots, as an edit of it gives.
    fn with(&self, roots: Vec<Root>) -> DatasetConfig {
        let mut dataset = self.dataset.clone();
        volume(&mut dataset).roots = roots;
        dataset
    }

    /// The mount has these roots from now on.
    fn show(&mut self, roots: Vec<Root>) {
        let dataset = self.with(roots);
        self.mounter.configure("m", &dataset);
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Option<Errno> {
    Errno::from_io_error(&result.unwrap_err())
}
