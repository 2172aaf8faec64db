//! Many writers at once: of files of their own, and of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use dlf_tests::is_long;

use crate::support::bytes::{MIB, assert_bytes, bytes, pieces, read_fully};
use crate::support::file::close;
use crate::support::load::{self, Load};
use crate::support::place::{Place, Setup};
use crate::support::program::python_has;
use crate::support::shaped::Shape;

/// Processes that write one file at the same time: PATH PROCESSES TIMES, where the text that each
/// writes is as many times its number.
const AT_ONCE: &str = include_str!("at_once.py");

/// Writes a file for each seed, all at once and a piece at a time, and checks all objects.
fn write_side_by_side(place: Place, writers: u64, length: usize, piece: usize, pause: Duration) {
    let write = |seed: u64| -> io::Result<()> {
        let mut file = File::create(place.join(&format!("f{seed}")))?;
        for piece in pieces(seed, length, piece) {
            file.write_all(&piece)?;
            thread::sleep(pause);
        }
        close(file)
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let running = (1..=writers).map(|seed| scope.spawn(move || write(seed)));
        let running: Vec<_> = running.collect();
        let ended = running.into_iter().map(|writer| writer.join().unwrap());
        let failed = ended.filter_map(Result::err);
        failed.map(|error| error.to_string()).collect()
    });
    let count = failed.len();
    assert!(failed.is_empty(), "{count} of {writers}: {}", failed[0]);
    let bucket = place.end();
    for seed in 1..=writers {
        let name = format!("f{seed}");
        assert_bytes(bucket.get(&name).unwrap(), bytes(seed, length), &name);
    }
}

#[test]
fn writers_that_pause_do_not_starve_each_other() {
    // Loggers and ranks of a job: what each has written since its last part is much in sum.
    const WRITERS: u64 = 48;
    const LENGTH: usize = 12_000_000;
    const PIECE: usize = 1_000_000;
    const PAUSE: Duration = Duration::from_millis(100);
    let Some(place) = Setup::of("writers_that_pause_do_not_starve_each_other").start() else {
        return;
    };
    write_side_by_side(place, WRITERS, LENGTH, PIECE, PAUSE);
}

#[test]
fn writers_of_more_than_the_memory_all_succeed() {
    const PIECE: usize = 64 * 1024;
    // Together more than the 256 MiB that one mount's files may take in memory.
    let (writers, length) = if is_long() {
        (80, 40 * MIB)
    } else {
        (20, 16 * MIB)
    };
    let Some(place) = Setup::of("writers_of_more_than_the_memory_all_succeed").start() else {
        return;
    };
    write_side_by_side(place, writers, length, PIECE, Duration::ZERO);
}

#[test]
fn readers_that_pause_and_writers_that_write_slowly_all_go_on_within_the_memory() {
    const WRITERS: u64 = 64;
    const WRITTEN_PER_SECOND: usize = 1_000_000;
    const SOURCE: Shape = Shape {
        bytes_per_second: 200_000_000,
        round_trip: Duration::from_millis(30),
    };
    // The budget, and what the mounter counts beside it (`mounter/memory/shares.rs`).
    const MEMORY_MAX: u64 = ((256 + 256 / 4 + 40) * MIB) as u64;
    let test = "readers_that_pause_and_writers_that_write_slowly_all_go_on_within_the_memory";
    let seconds = if is_long() { 30 } else { 5 };
    let Some(mut place) = Setup::of(test).behind_network(SOURCE).start() else {
        return;
    };
    place.bucket.put("piece", bytes(1, 16 * MIB));
    let names = |what: &str, count| (0..count).map(|n| format!("{what}{n}")).collect::<Vec<_>>();
    let (moving, paused) = (names("moving", 12), names("paused", 4));
    for name in moving.iter().chain(&paused) {
        place.bucket.repeat(name, "piece", 4);
    }
    let load = Load {
        mount: &place.mount.path,
        moving,
        paused,
        writers: WRITERS,
        bytes_per_second: WRITTEN_PER_SECOND,
        seconds,
        at_least: Duration::ZERO,
    };
    let outcome = load.run(place.mounter.pid_of("m"));
    assert_eq!(outcome.failed, Vec::<String>::new());
    let (memory, rate) = (outcome.memory, outcome.read_per_second / 1e6);
    println!(
        "{} MiB of memory at most, {rate:.0} MB/s read",
        memory >> 20
    );
    assert!(memory <= MEMORY_MAX, "{memory} bytes");
    let bucket = place.end();
    for seed in 0..WRITERS {
        let name = load::written(seed);
        let wanted = load::content(seed, WRITTEN_PER_SECOND, seconds);
        assert_bytes(bucket.get(&name).unwrap(), wanted, &name);
    }
}

/// Processes write one file at once; all succeed, and it is one of theirs.
fn last_close_wins(test: &'static str, processes: usize, times: usize, rounds: usize) {
    if !python_has(test, "os") {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    for round in 0..rounds {
        let arguments = ["one", &processes.to_string(), &times.to_string()];
        assert_eq!(
            place.python(AT_ONCE, &arguments).expect_ok(),
            "",
            "round {round}"
        );
        let object = place.bucket.get("one").unwrap();
        let number: usize = String::from_utf8_lossy(&object[..4]).parse().unwrap();
        assert!(number < processes, "round {round}: {number}");
        let wanted = format!("{number:04}").repeat(times);
        assert_bytes(&object, wanted, &format!("round {round}"));
        let shown = fs::read(place.join("one")).unwrap();
        assert_bytes(
            shown,
            object,
            &format!("what the node shows, round {round}"),
        );
    }
}

#[test]
fn eight_processes_that_write_one_file_at_once_all_succeed() {
    let test = "eight_processes_that_write_one_file_at_once_all_succeed";
    last_close_wins(test, 8, 5_000, 10);
}

#[test]
fn twenty_four_processes_that_write_one_file_at_once_all_succeed() {
    let test = "twenty_four_processes_that_write_one_file_at_once_all_succeed";
    last_close_wins(test, 24, 5_000, 5);
}

#[test]
fn eight_processes_that_write_one_large_file_at_once_all_succeed() {
    let test = "eight_processes_that_write_one_large_file_at_once_all_succeed";
    last_close_wins(test, 8, 9 * MIB / 4, 2);
}

#[test]
fn a_growing_file_is_read_as_far_as_it_is_written() {
    const LENGTH: usize = 40 * MIB;
    // Odd, so that pieces, pages and parts never end together.
    const PIECE: usize = 700_001;
    // How often the writer looks itself, past the kernel's cache.
    const LOOKS: usize = 8;
    let Some(place) = Setup::of("a_growing_file_is_read_as_far_as_it_is_written").start() else {
        return;
    };
    let (body, path) = (bytes(30, LENGTH), place.join("log"));
    let mut file = File::create(&path).unwrap();
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut looked = 0;
            for piece in body.chunks(PIECE) {
                file.write_all(piece).unwrap();
                let length = written.fetch_add(piece.len(), Ordering::AcqRel) + piece.len();
                if length * LOOKS >= (looked + 1) * LENGTH {
                    looked += 1;
                    let found = read_past_the_cache(&path, length);
                    assert_bytes(found, &body[..length], &format!("after {length} bytes"));
                }
            }
        });
        while !writer.is_finished() {
            let least = written.load(Ordering::Acquire);
            let found = fs::read(&path).unwrap();
            assert!(found.len() >= least, "{} of {least} bytes", found.len());
            assert_bytes(&found, &body[..found.len()], "read while it is written");
        }
        writer.join().unwrap();
    });
    assert_bytes(fs::read(&path).unwrap(), &body, "read before it is closed");
    assert_eq!(place.bucket.get("log"), None, "nobody else sees half of it");
    close(file).unwrap();
    assert_bytes(place.bucket.get("log").unwrap(), &body, "the object");
}

/// The kernel has the pages that were written; only so the file system is asked for them.
fn read_past_the_cache(path: &Path, length: usize) -> Vec<u8> {
    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(direct).open(path).unwrap();
    // One byte more than there should be.
    let mut found = vec![0; length + 1];
    let read = read_fully(&file, &mut found, 0);
    found.truncate(read);
    found
}
