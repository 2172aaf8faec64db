//! Two nodes that append to one file: each line of either is there, once and whole.

use std::io::Write;
use std::path::Path;
use std::thread;

use crate::support::file::{append, close, open_to_append};
use crate::support::place::Setup;

/// Lines that each of the two writes.
const LINES: usize = 300;

fn line(writer: char, number: usize) -> String {
    format!("{writer} {number:03} {}\n", "-".repeat(40))
}

/// Writes the lines from two mounts at once, each with one of these, and looks at the object.
fn all_lines_are_there(test: &'static str, write: fn(&Path, char)) {
    let Some(mut place) = Setup::of(test).start() else {
        return;
    };
    if !place.bucket.honours_if_match_to_many() {
        println!("SKIPPED {test}: the server does not honour If-Match among several writers");
        return;
    }
    place.bucket.put("log", "");
    let second = place.mount_again();
    let paths = [('a', place.join("log")), ('b', second.join("log"))];
    thread::scope(|scope| {
        for (writer, path) in &paths {
            scope.spawn(move || write(path, *writer));
        }
    });
    second.settle();
    drop(second);
    place.mounter.stop("again");
    let log = place.end().text("log").unwrap();
    let mut found: Vec<_> = log.split_inclusive('\n').collect();
    found.sort_unstable();
    let wanted = ['a', 'b'].map(|writer| (0..LINES).map(move |number| line(writer, number)));
    let wanted: Vec<String> = wanted.into_iter().flatten().collect();
    let lost: Vec<_> = wanted
        .iter()
        .filter(|line| !log.contains(line.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} lost, the first is {}",
        lost.len(),
        lost[0]
    );
    assert_eq!(found, wanted);
}

#[test]
fn two_mounts_that_append_line_by_line_lose_none() {
    all_lines_are_there(
        "two_mounts_that_append_line_by_line_lose_none",
        |path, writer| {
            for number in 0..LINES {
                append(path, line(writer, number).as_bytes()).unwrap();
            }
        },
    );
}

#[test]
fn two_mounts_that_hold_a_log_open_and_sync_each_line_lose_none() {
    all_lines_are_there(
        "two_mounts_that_hold_a_log_open_and_sync_each_line_lose_none",
        |path, writer| {
            let mut file = open_to_append(path).unwrap();
            for number in 0..LINES {
                file.write_all(line(writer, number).as_bytes()).unwrap();
                file.sync_all().unwrap();
            }
            close(file).unwrap();
        },
    );
}
