//! Programs that are ended while they write: what a kill leaves half-written replaces nothing.

use crate::support::place::{Place, Setup};
use crate::support::program::python_has;

const OLD: &str = "the old one, whole";

/// Bytes that a program has written when it ends: several parts of an upload, and some more.
const LENGTH: usize = 20_000_003;

/// Opens PATH with MODE, writes so many bytes and ends as the last line says.
fn ended(place: &Place, name: &str, mode: &str, ending: &str) {
    let script = format!(
        "import os, signal, sys, threading\n\
         file = open(sys.argv[1], '{mode}', 0)\n\
         for _ in range({LENGTH} // 1000000): file.write(b'x' * 1000000)\n\
         file.write(b'x' * ({LENGTH} % 1000000))\n\
         {ending}"
    );
    // How it ends is not asked: some endings are no success.
    let _ = place.python(&script, &[name]);
}

fn size(place: &Place, name: &str) -> Option<u64> {
    place.bucket.get(name).map(|body| body.len() as u64)
}

fn kill(signal: &str) -> String {
    format!("os.kill(os.getpid(), signal.{signal}); signal.pause()")
}

/// A mount with an old object of this name; `None` where this cannot run.
fn with_old(test: &'static str, name: &str) -> Option<Place> {
    if !python_has(test, "signal") {
        return None;
    }
    let place = Setup::of(test).start()?;
    place.bucket.put(name, OLD);
    Some(place)
}

#[test]
fn a_killed_writer_leaves_the_old_object_and_the_next_one_replaces_it() {
    let test = "a_killed_writer_leaves_the_old_object_and_the_next_one_replaces_it";
    let Some(place) = with_old(test, "f") else {
        return;
    };
    for signal in ["SIGKILL", "SIGTERM"] {
        ended(&place, "f", "wb", &kill(signal));
        assert_eq!(place.bucket.text("f").as_deref(), Some(OLD), "{signal}");
        assert_eq!(place.sh("cat f").expect_ok(), OLD, "{signal}");
        ended(&place, "f", "r+b", &kill(signal));
        assert_eq!(place.bucket.text("f").as_deref(), Some(OLD), "{signal}");
    }
    assert_eq!(place.sh("echo new > f; cat f").expect_ok(), "new\n");
    assert_eq!(place.end().text("f").as_deref(), Some("new\n"));
}

#[test]
fn a_program_that_timeout_ends_leaves_the_old_object() {
    let Some(place) = with_old("a_program_that_timeout_ends_leaves_the_old_object", "f") else {
        return;
    };
    // The later ones hold the file themselves, and exit when they have ended the program.
    for slow in [
        "sh -c 'kill -9 $$' > f",
        "timeout 1 sleep 60 > f",
        "timeout 1 sh -c 'exec > f; while :; do echo line; done'",
        "timeout 1 sh -c 'while :; do echo line; done' > f",
    ] {
        assert!(!place.sh(slow).ok, "{slow}");
        assert_eq!(place.sh("cat f").expect_ok(), OLD, "{slow}");
        assert_eq!(place.bucket.text("f").as_deref(), Some(OLD), "{slow}");
    }
    // Nor does what was killed before it wrote anything leave an empty file.
    for idle in ["timeout 1 sleep 60 > f", "sh -c 'exec > f; kill -9 $$'"] {
        assert!(!place.sh(idle).ok, "{idle}");
        assert_eq!(place.sh("cat f").expect_ok(), OLD, "{idle}");
    }
    // Who goes on writing means what is there.
    let shell = "(sh -c 'echo half; kill -9 $$'; echo more) > f; cat f";
    assert_eq!(place.sh(shell).expect_ok(), "half\nmore\n");
    assert_eq!(place.end().text("f").as_deref(), Some("half\nmore\n"));
}

#[test]
fn what_a_killed_writer_made_or_appended_is_kept_as_on_a_disk() {
    let Some(place) = with_old(
        "what_a_killed_writer_made_or_appended_is_kept_as_on_a_disk",
        "log",
    ) else {
        return;
    };
    ended(&place, "new", "wb", &kill("SIGKILL"));
    assert_eq!(size(&place, "new"), Some(LENGTH as u64));
    ended(&place, "log", "ab", &kill("SIGKILL"));
    assert_eq!(size(&place, "log"), Some((OLD.len() + LENGTH) as u64));
}

#[test]
fn other_endings_are_closes() {
    let Some(place) = with_old("other_endings_are_closes", "f") else {
        return;
    };
    let threads = "for _ in range(8): threading.Thread(target=signal.pause).start()\nos._exit(0)";
    let endings = ["SIGINT", "SIGHUP", "SIGPIPE"].map(|signal| {
        let default = format!("signal.signal(signal.{signal}, signal.SIG_DFL)\n");
        default + &kill(signal)
    });
    for ending in endings
        .iter()
        .map(String::as_str)
        .chain([threads, "os._exit(3)"])
    {
        place.bucket.put("f", OLD);
        ended(&place, "f", "wb", ending);
        assert_eq!(size(&place, "f"), Some(LENGTH as u64), "{ending}");
    }
    place.bucket.put("t", OLD);
    assert_eq!(place.sh("seq 300000 | tee t | head -1").expect_ok(), "1\n");
    let text = place.end().text("t").unwrap();
    assert!(
        text.starts_with("1\n2\n"),
        "what tee wrote before the pipe broke"
    );
}
