//! Files that are made empty, closed, and written to at once: what every shell does.

use crate::support::bucket::Bucket;
use crate::support::place::Setup;
use crate::support::program::{are_there, python_has};

/// Each of these went wrong in every second try at least.
const ROUNDS: usize = 50;

/// Writes empty files, appends to them twice and reads in between: PREFIX ROUNDS.
const APPENDS: &str = include_str!("appends.py");

/// That an object of each round has this text.
fn check(bucket: &Bucket, prefix: &str, text: &str) {
    for round in 0..ROUNDS {
        let key = format!("{prefix}{round}");
        assert_eq!(bucket.text(&key).as_deref(), Some(text), "{key}");
    }
}

#[test]
fn a_file_that_was_touched_and_written_is_read_at_once() {
    let Some(place) = Setup::of("a_file_that_was_touched_and_written_is_read_at_once").start()
    else {
        return;
    };
    for round in 0..ROUNDS {
        let file = format!("f{round}");
        let script = format!("touch {file}; echo hi > {file}; cat {file}");
        assert_eq!(place.sh(&script).expect_ok(), "hi\n", "round {round}");
        assert_eq!(place.bucket.text(&file).as_deref(), Some("hi\n"), "{file}");
    }
    // The upload of the empty file must not come after the other.
    check(&place.end(), "f", "hi\n");
}

#[test]
fn what_a_shell_appends_to_an_empty_file_is_all_there() {
    let Some(place) = Setup::of("what_a_shell_appends_to_an_empty_file_is_all_there").start()
    else {
        return;
    };
    for round in 0..ROUNDS {
        let log = format!("log{round}");
        let script = format!(": > {log}; echo a >> {log}; cat {log}; echo b >> {log}");
        assert_eq!(place.sh(&script).expect_ok(), "a\n", "round {round}");
        assert_eq!(place.bucket.text(&log).as_deref(), Some("a\nb\n"), "{log}");
    }
    check(&place.end(), "log", "a\nb\n");
}

#[test]
fn what_python_appends_to_an_empty_file_is_all_there() {
    let test = "what_python_appends_to_an_empty_file_is_all_there";
    if !python_has(test, "sys") {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let rounds = ROUNDS.to_string();
    assert_eq!(place.python(APPENDS, &["log", &rounds]).expect_ok(), "");
    check(&place.end(), "log", "ab");
}

#[test]
fn every_line_that_is_appended_to_one_log_is_there() {
    let Some(place) = Setup::of("every_line_that_is_appended_to_one_log_is_there").start() else {
        return;
    };
    let lines = format!("for i in $(seq {ROUNDS}); do echo line $i >> log || exit; done; cat log");
    let wanted: Vec<String> = (1..=ROUNDS).map(|line| format!("line {line}\n")).collect();
    let wanted = wanted.concat();
    assert_eq!(place.sh(&lines).expect_ok(), wanted);
    assert_eq!(place.end().text("log").as_deref(), Some(wanted.as_str()));
}

#[test]
fn a_temporary_file_is_written_read_and_moved() {
    let test = "a_temporary_file_is_written_read_and_moved";
    if !are_there(test, &["mktemp"]) {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    for round in 0..ROUNDS {
        let name = format!("m{round}");
        let script = format!(
            "f=$(mktemp -p .) && echo hi > $f && cat $f && mv $f {name} && cat {name} && \
             cp {name} same.new && mv same.new same && cat same"
        );
        assert_eq!(
            place.sh(&script).expect_ok(),
            "hi\nhi\nhi\n",
            "round {round}"
        );
    }
    let bucket = place.end();
    check(&bucket, "m", "hi\n");
    assert_eq!(bucket.keys().len(), ROUNDS + 1, "{:?}", bucket.keys());
}
