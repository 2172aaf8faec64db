//! Runs every row of every table of `docs/semantics.md` against a real mount and a real S3 server,
//! with answers that may be of any age that the table is about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

#[path = "semantics/document.rs"]
mod document;
#[path = "semantics/paths.rs"]
mod paths;
#[path = "semantics/steps.rs"]
mod steps;
#[path = "semantics/words.rs"]
mod words;

use std::collections::BTreeMap;

use dlf_wire::dataset::v1::{DatasetConfig, FuseVolume};

use document::{Options, Revalidate, Row, Table};
use support::bucket::Bucket;
use support::mounter::{Mount, Mounter, dataset, with_volume};
use support::place::{REVALIDATE_DEFAULT_MS, volume};
use support::program;

const DOCUMENT: &str = include_str!("../../docs/semantics.md");

#[test]
fn the_mount_does_what_the_document_says_when_every_answer_is_fresh() {
    let test = "the_mount_does_what_the_document_says_when_every_answer_is_fresh";
    run(test, Revalidate::AtOnce, Some(0));
}

#[test]
fn the_mount_does_what_the_document_says_when_answers_may_be_a_minute_old() {
    let test = "the_mount_does_what_the_document_says_when_answers_may_be_a_minute_old";
    run(test, Revalidate::Default, Some(REVALIDATE_DEFAULT_MS));
}

#[test]
fn the_mount_does_what_the_document_says_when_answers_never_get_old() {
    let test = "the_mount_does_what_the_document_says_when_answers_never_get_old";
    run(test, Revalidate::Never, None);
}

fn run(test: &str, revalidate: Revalidate, revalidate_ms: Option<u64>) {
    let Some(server) = support::server(test) else {
        return;
    };
    let root = Bucket::new(&server, &format!("semantics-{revalidate:?}"));
    let lacks = Lacks {
        conditions: !root.honours_if_match(),
        python: !program::is_there("python3"),
    };
    let mut mounter = Mounter::start();
    let mut wrong = Vec::new();
    let (mut rows, mut not_run) = (0, 0);
    let tables = document::tables(DOCUMENT).into_iter();
    for table in tables.filter(|table| table.revalidate.contains(&revalidate)) {
        for row in &table.rows {
            // Each in a place of its own: some servers keep directories that have become empty.
            let bucket = root.below(&format!("{rows}/"));
            rows += 1;
            if let Some(reason) = lacks.reason(&table, row) {
                println!("NOT RUN: `{}`: {reason}", shown(&row.steps));
                not_run += 1;
                continue;
            }
            let options = (&table.options, revalidate_ms);
            match check(&mut mounter, &bucket, options, row) {
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
    assert!(rows > 0, "no table is about {revalidate:?}");
    println!("{} rows hold, {not_run} were not run", rows - not_run);
}

/// What rows need and this machine does not have.
struct Lacks {
    conditions: bool,
    python: bool,
}

impl Lacks {
    fn reason(&self, table: &Table, row: &Row) -> Option<&'static str> {
        if self.conditions && table.needs_conditions {
            return Some("the server ignores If-Match");
        }
        if self.python && row.steps.contains("mmap-write") {
            return Some("there is no python3");
        }
        None
    }
}

enum Outcome {
    Holds,
    NotRun,
    Wrong(String),
}

fn check(
    mounter: &mut Mounter,
    bucket: &Bucket,
    options: (&Options, Option<u64>),
    row: &Row,
) -> Outcome {
    let put = |(key, body): (&String, &String)| bucket.try_put(key, body.clone());
    if row.before.iter().map(put).any(|put| put.is_err()) || !holds(bucket, &row.before) {
        println!("NOT RUN: this server does not hold {:?}", row.before);
        return Outcome::NotRun;
    }
    let mount = mount(mounter, bucket, options);
    let answer = steps::run(&row.steps, &mount, bucket);
    mount.settle();
    drop(mount);
    // What was closed is in the bucket when this returns: an empty file may be on its way till then.
    mounter.stop("m");
    let keys = bucket.keys().into_iter();
    let after: BTreeMap<String, String> = keys
        .map(|key| {
            let body = bucket.text(&key).unwrap_or_default();
            (key, body)
        })
        .collect();
    if answer == row.answer && after == row.after {
        return Outcome::Holds;
    }
    Outcome::Wrong(format!(
        "`{}`\n    answer {}, not {}\n    left {after:?}, not {:?}",
        shown(&row.steps),
        shown(&answer),
        shown(&row.answer),
        row.after
    ))
}

/// As it stands in the document.
fn shown(text: &str) -> String {
    text.replace('\0', "\\0")
}

/// Whether the server shows what it was given: some make one key of two.
fn holds(bucket: &Bucket, objects: &BTreeMap<String, String>) -> bool {
    let keys = bucket.keys();
    keys.len() == objects.len() && keys.iter().all(|key| objects.contains_key(key))
}

fn mount(
    mounter: &mut Mounter,
    bucket: &Bucket,
    (options, revalidate_ms): (&Options, Option<u64>),
) -> Mount {
    let mut dataset = dataset(bucket.origin());
    let roots = options.roots.iter();
    let roots = roots.map(|(path, prefix)| bucket.root(prefix, path));
    let volume = FuseVolume {
        uid: options.uid,
        gid: options.gid,
        umask: options.umask,
        revalidate_ms,
        roots: roots.collect(),
        ..volume(&mut dataset).clone()
    };
    let dataset = DatasetConfig {
        readonly: options.readonly,
        ..with_volume(volume)
    };
    mounter.mount("m", &dataset, options.fs_group)
}
