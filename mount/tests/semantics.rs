//! Runs every row of every table of `docs/semantics.md` against a real mount and a real S3 server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

#[path = "semantics/document.rs"]
mod document;
#[path = "semantics/steps.rs"]
mod steps;

use std::collections::BTreeMap;

use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume};

use document::{Options, Row};
use support::bucket::Bucket;
use support::mounter::{Mount, Mounter, dataset, with_volume};

const DOCUMENT: &str = include_str!("../../docs/semantics.md");

#[test]
fn the_mount_does_what_the_document_says() {
    let Some(server) = support::server("the_mount_does_what_the_document_says") else {
        return;
    };
    let root = Bucket::new(&server, "semantics");
    let mut mounter = Mounter::start();
    let mut wrong = Vec::new();
    let (mut rows, mut not_run) = (0, 0);
    for table in document::tables(DOCUMENT) {
        for row in &table.rows {
            // Each in a place of its own: some servers keep directories that have become empty.
            let bucket = root.below(&format!("{rows}/"));
            rows += 1;
            match check(&mut mounter, &bucket, &table.options, row) {
                Outcome::Holds => {}
                Outcome::NotRun => not_run += 1,
                Outcome::Wrong(what) => wrong.push(format!("{}: {what}", table.heading)),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {rows} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{} rows hold, {not_run} were not run", rows - not_run);
}

enum Outcome {
    Holds,
    NotRun,
    Wrong(String),
}

fn check(mounter: &mut Mounter, bucket: &Bucket, options: &Options, row: &Row) -> Outcome {
    let put = |(key, body): (&String, &String)| bucket.try_put(key, body.clone());
    if row.before.iter().map(put).any(|put| put.is_err()) || !holds(bucket, &row.before) {
        println!("NOT RUN: this server does not hold {:?}", row.before);
        return Outcome::NotRun;
    }
    let mount = mount(mounter, bucket, options);
    let answer = steps::run(&row.steps, &mount, bucket);
    drop(mount);
    mounter.stop("m");
    let keys = bucket.keys().into_iter();
    let after: BTreeMap<String, String> = keys
        .map(|key| {
            let body = bucket.get(&key).unwrap_or_default();
            (key, String::from_utf8_lossy(&body).into_owned())
        })
        .collect();
    if answer == row.answer && after == row.after {
        return Outcome::Holds;
    }
    Outcome::Wrong(format!(
        "`{}`\n    answer {answer}, not {}\n    left {after:?}, not {:?}",
        row.steps, row.answer, row.after
    ))
}

/// Whether the server shows what it was given: some make one key of two.
fn holds(bucket: &Bucket, objects: &BTreeMap<String, String>) -> bool {
    let keys = bucket.keys();
    keys.len() == objects.len() && keys.iter().all(|key| objects.contains_key(key))
}

fn mount(mounter: &mut Mounter, bucket: &Bucket, options: &Options) -> Mount {
    let DatasetConfig { volume, .. } = dataset(bucket.origin());
    let Some(dlf_wire::dataset::v1::dataset_config::Volume::Fuse(volume)) = volume else {
        unreachable!("a test's dataset is a FUSE volume");
    };
    let volume = FuseVolume {
        uid: options.uid,
        gid: options.gid,
        umask: options.umask,
        ..volume
    };
    let dataset = DatasetConfig {
        readonly: options.readonly,
        ..with_volume(volume)
    };
    mounter.mount("m", &dataset, options.fs_group)
}
