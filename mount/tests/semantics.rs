//! Runs every row of every table of `docs/semantics.md` against a real mount and a real S3 server.

mod support;

#[path = "semantics/document.rs"]
mod document;
#[path = "semantics/steps.rs"]
mod steps;

use std::collections::BTreeMap;

use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume};

use document::{Options, Table};
use support::bucket::Bucket;
use support::mounter::{Mount, Mounter, dataset, with_volume};

const DOCUMENT: &str = include_str!("../../docs/semantics.md");

#[test]
fn the_mount_does_what_the_document_says() {
    let Some(server) = support::server("the_mount_does_what_the_document_says") else {
        return;
    };
    let bucket = Bucket::new(&server, "semantics");
    let mut mounter = Mounter::start();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for (number, table) in document::tables(DOCUMENT).into_iter().enumerate() {
        let mount = mount(&mut mounter, number, &bucket, &table.options);
        rows += table.rows.len();
        check(&bucket, &mount, &table, &mut wrong);
        drop(mount);
        mounter.stop(&number.to_string());
    }
    assert!(
        wrong.is_empty(),
        "{} of {rows} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{rows} rows hold");
}

fn check(bucket: &Bucket, mount: &Mount, table: &Table, wrong: &mut Vec<String>) {
    for row in &table.rows {
        bucket.clear();
        for (key, body) in &row.before {
            bucket.put(key, body.clone());
        }
        let answer = steps::run(&row.steps, mount, bucket);
        let keys = bucket.keys().into_iter();
        let after: BTreeMap<String, String> = keys
            .map(|key| {
                let body = bucket.get(&key).unwrap_or_default();
                (key, String::from_utf8_lossy(&body).into_owned())
            })
            .collect();
        if answer != row.answer || after != row.after {
            wrong.push(format!(
                "{}: `{}`\n    answer {answer}, not {}\n    left {after:?}, not {:?}",
                table.heading, row.steps, row.answer, row.after
            ));
        }
    }
}

fn mount(mounter: &mut Mounter, number: usize, bucket: &Bucket, options: &Options) -> Mount {
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
    mounter.mount(&number.to_string(), &dataset, options.fs_group)
}
