//! Objects that others replace while the mount still believes in the old ones.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use rustix::io::Errno;

use crate::support::bytes::{MIB, assert_bytes, bytes};
use crate::support::place::{REVALIDATE_DEFAULT_MS, Setup};
use crate::support::program;

const ROUNDS: u64 = 5;

/// With and without read-ahead.
const LENGTHS: [usize; 2] = [3_000, 20 * MIB];

fn is_stale<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
    Errno::from_io_error(&result.unwrap_err()) == Some(Errno::STALE)
}

fn the_next_open_has_the_new_version(test: &'static str, revalidate_ms: Option<u64>) {
    let Some(place) = Setup::of(test).revalidate(revalidate_ms).start() else {
        return;
    };
    for length in LENGTHS {
        for round in 1..=ROUNDS {
            // Each is a name of its own: the kernel still has the bytes of one that was read.
            let (opened, known) = (format!("h{length}-{round}"), format!("k{length}-{round}"));
            let new = bytes(round + 100, length + 1);
            for name in [&opened, &known] {
                place.bucket.put(name, bytes(round, length));
                fs::metadata(place.join(name)).unwrap();
            }
            let unread = File::open(place.join(&opened)).unwrap();
            place.bucket.put(&opened, new.clone());
            place.bucket.put(&known, new.clone());

            assert!(is_stale(unread.read_at(&mut [0; 100], 0)), "{opened}");
            assert_bytes(fs::read(place.join(&opened)).unwrap(), &new, &opened);
            assert!(is_stale(unread.read_at(&mut [0; 100], 0)), "{opened}");

            // Nobody has it open: the first open may be of what the mount has known till now.
            match fs::read(place.join(&known)) {
                Ok(found) => assert_bytes(found, &new, &known),
                stale => assert!(is_stale(stale), "{known}"),
            }
            assert_bytes(fs::read(place.join(&known)).unwrap(), &new, &known);
        }
    }
}

#[test]
fn after_a_stale_read_the_next_open_has_the_new_version() {
    let test = "after_a_stale_read_the_next_open_has_the_new_version";
    the_next_open_has_the_new_version(test, Some(REVALIDATE_DEFAULT_MS));
}

#[test]
fn after_a_stale_read_the_next_open_has_the_new_version_also_if_answers_never_get_old() {
    let test = "after_a_stale_read_the_next_open_has_the_new_version_also_if_answers_never_get_old";
    the_next_open_has_the_new_version(test, None);
}

#[test]
fn whoever_has_read_half_of_a_file_never_gets_the_other_half_of_another() {
    const LENGTH: usize = 20 * MIB;
    let test = "whoever_has_read_half_of_a_file_never_gets_the_other_half_of_another";
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    for round in 1..=ROUNDS {
        let (name, path) = (format!("f{round}"), place.join(&format!("f{round}")));
        let old = bytes(round, LENGTH);
        place.bucket.put(&name, old.clone());
        let file = File::open(&path).unwrap();
        let mut piece = vec![0; MIB];
        file.read_exact_at(&mut piece, 0).unwrap();
        assert_bytes(&piece, &old[..MIB], "the beginning");
        place.bucket.put(&name, bytes(round + 100, LENGTH));
        for at in (0..LENGTH).step_by(MIB) {
            match file.read_exact_at(&mut piece, at as u64) {
                Ok(()) => assert_bytes(&piece, &old[at..at + MIB], &format!("at {at}")),
                stale => assert!(is_stale(stale), "at {at}"),
            }
        }
    }
}

fn a_new_consumer_sees_what_another_node_wrote(test: &'static str, revalidate_ms: Option<u64>) {
    let Some(mut place) = Setup::of(test).revalidate(revalidate_ms).start() else {
        return;
    };
    let other = place.mount_again();
    place.bucket.put("dir/known.txt", "old");
    // What the kernel and the mount now believe.
    assert_eq!(
        place.sh("cat dir/known.txt; ls dir").expect_ok(),
        "oldknown.txt\n"
    );
    let _ = place
        .sh("test ! -e r.txt && test ! -e dir/r.txt")
        .expect_ok();
    let written = "echo new > dir/known.txt; echo r > r.txt; echo r > dir/r.txt";
    let _ = program::sh(&other.path, written).expect_ok();
    let _ = place
        .sh("test ! -e r.txt && test ! -e dir/r.txt")
        .expect_ok();

    place.refresh();
    let seen = place
        .sh("cat r.txt dir/r.txt dir/known.txt; ls dir")
        .expect_ok();
    assert_eq!(seen, "r\nr\nnew\nknown.txt\nr.txt\n");
    // Somebody works in a directory when the next one comes.
    let mut shell = Command::new("sh")
        .args(["-c", "read go; pwd && cat known.txt"])
        .current_dir(place.join("dir"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    place.refresh();
    drop(shell.stdin.take());
    let shown = shell.wait_with_output().unwrap().stdout;
    let expected = format!("{}\nnew\n", place.join("dir").display());
    assert_eq!(String::from_utf8(shown).unwrap(), expected);
}

#[test]
fn a_new_consumer_sees_what_another_node_wrote_before_it_came() {
    let test = "a_new_consumer_sees_what_another_node_wrote_before_it_came";
    a_new_consumer_sees_what_another_node_wrote(test, Some(REVALIDATE_DEFAULT_MS));
}

#[test]
fn a_new_consumer_sees_what_another_node_wrote_also_if_answers_never_get_old() {
    let test = "a_new_consumer_sees_what_another_node_wrote_also_if_answers_never_get_old";
    a_new_consumer_sees_what_another_node_wrote(test, None);
}
