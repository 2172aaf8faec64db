//! Names that come and go: listings under way, seeking in them, directories without a marker.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::place::{REVALIDATE_DEFAULT_MS, Setup};
use crate::support::program::{are_there, run_in};

/// Entries of a directory of which the kernel takes a part at once, and the source gives one page.
const ENTRIES: usize = 600;

/// One of the last: the kernel has not been told of it when it has the first.
const REMOVED: &str = "f0590";

/// Reads a directory to its end and goes back to many places in it: PATH. Says where it was wrong.
const SEEKDIR: &str = include_str!("seekdir.pl");

fn entries(directory: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("{directory}/f{n:04}"))
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// That a name which was removed stays away, whatever is asked.
fn is_away(directory: &Path) {
    let path = directory.join(REMOVED);
    let found = fs::symlink_metadata(&path).map(|metadata| metadata.len());
    assert_eq!(
        found.map_err(|error| error.kind()),
        Err(ErrorKind::NotFound)
    );
    let read = fs::read(&path).map_err(|error| error.kind());
    assert_eq!(read, Err(ErrorKind::NotFound));
    let names = names_in(directory);
    let others = entries("", ENTRIES).map(|name| name[1..].to_owned());
    let others: Vec<String> = others.filter(|name| name != REMOVED).collect();
    assert_eq!(names, others);
}

#[test]
fn a_name_removed_amid_a_listing_stays_away() {
    const DIRECTORIES: usize = 5;
    let Some(place) = Setup::of("a_name_removed_amid_a_listing_stays_away").start() else {
        return;
    };
    for round in 0..DIRECTORIES {
        let directory = format!("d{round}");
        place.bucket.put_all(entries(&directory, ENTRIES), "x");
        let directory = place.join(&directory);
        let mut listing = fs::read_dir(&directory).unwrap();
        // As `ls -l`: each name is looked at before the next is asked for.
        listing.next().unwrap().unwrap().metadata().unwrap();
        fs::remove_file(directory.join(REMOVED)).unwrap();
        for entry in listing {
            // The name itself may still be listed, as POSIX has it.
            let _ = entry.unwrap().metadata();
        }
        is_away(&directory);
    }
}

#[test]
fn a_name_removed_before_the_source_answers_a_listing_stays_away() {
    const DIRECTORIES: usize = 5;
    // Enough for the other thread to ask for the removal. Nothing is asserted of this time.
    const BEGIN_WITHIN: Duration = Duration::from_millis(300);
    let test = "a_name_removed_before_the_source_answers_a_listing_stays_away";
    let Some(place) = Setup::of(test).behind_proxy().start() else {
        return;
    };
    for round in 0..DIRECTORIES {
        let directory = format!("d{round}");
        place.bucket.put_all(entries(&directory, ENTRIES), "x");
        // Known, so that nothing but the removal itself is asked of the source.
        fs::metadata(place.join(&directory).join(REMOVED)).unwrap();
        let prefix = format!("{directory}%2F");
        let hold = place.proxy().hold_answer(move |request| {
            request.parameter("delimiter").is_some()
                && request
                    .parameter("prefix")
                    .is_some_and(|asked| asked.ends_with(&prefix))
        });
        let directory = place.join(&directory);
        thread::scope(|scope| {
            let listing = scope.spawn(|| {
                for entry in fs::read_dir(&directory).unwrap() {
                    let _ = entry.unwrap().metadata();
                }
            });
            hold.wait();
            let removing = scope.spawn(|| fs::remove_file(directory.join(REMOVED)));
            let until = Instant::now() + BEGIN_WITHIN;
            while !removing.is_finished() && Instant::now() < until {
                thread::yield_now();
            }
            hold.let_go();
            removing.join().unwrap().unwrap();
            listing.join().unwrap();
        });
        is_away(&directory);
    }
}

#[test]
fn a_reader_may_seek_back_in_a_large_directory() {
    const MANY: usize = 3_000;
    let test = "a_reader_may_seek_back_in_a_large_directory";
    if !are_there(test, &["perl"]) {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    place.bucket.put_all(entries("d", MANY), "x");
    // Once as the source lists it, once as the mount has kept it.
    for _ in 0..2 {
        let said = run_in(&place.mount.path, "perl", &["-e", SEEKDIR, "d"]);
        assert_eq!(said.expect_ok(), format!("{} names\n", MANY + 2));
    }
}

#[test]
fn an_empty_page_of_a_listing_is_not_its_end() {
    let test = "an_empty_page_of_a_listing_is_not_its_end";
    // Nothing is kept, so that every answer is one of the source.
    let setup = Setup::of(test).revalidate(Some(0)).behind_proxy();
    let Some(place) = setup.start() else {
        return;
    };
    place.bucket.put("d/a", "x");
    place.bucket.put("d/e/b", "y");
    place.bucket.put("e/", "");
    place.bucket.put("f/a", "z");
    place.proxy().empty_first_pages();
    assert!(fs::metadata(place.join("d")).unwrap().is_dir());
    assert_eq!(names_in(&place.mount.path), ["d", "e", "f"]);
    assert_eq!(names_in(&place.join("d")), ["a", "e"]);
    assert!(names_in(&place.join("e")).is_empty());
    let kind = |result: std::io::Result<()>| result.map_err(|error| error.kind());
    let not_empty = Err(ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(fs::remove_dir(place.join("d"))), not_empty);
    assert_eq!(
        kind(fs::rename(place.join("f"), place.join("d"))),
        not_empty
    );
    fs::rename(place.join("d"), place.join("g")).unwrap();
    assert_eq!(fs::read_to_string(place.join("g/e/b")).unwrap(), "y");
    fs::remove_dir(place.join("e")).unwrap();
    assert_eq!(place.end().keys(), ["f/a", "g/a", "g/e/b"]);
}

/// An emptied directory, after `pause` and whatever `forget` does.
fn emptied_directory_stays(setup: Setup, pause: Duration, forget: impl Fn()) {
    let Some(place) = setup.start() else {
        return;
    };
    place.bucket.put("d/a", "x");
    place.bucket.put("d/e/a", "x");
    fs::remove_file(place.join("d/a")).unwrap();
    fs::remove_file(place.join("d/e/a")).unwrap();
    thread::sleep(pause);
    forget();
    assert!(fs::metadata(place.join("d")).unwrap().is_dir());
    assert!(fs::metadata(place.join("d/e")).unwrap().is_dir());
    fs::remove_dir(place.join("d/e")).unwrap();
    thread::sleep(pause);
    forget();
    assert_eq!(place.sh("echo y > d/b && ls d").expect_ok(), "b\n");
    assert_eq!(place.bucket.keys(), ["d/b"]);
    fs::remove_file(place.join("d/b")).unwrap();
    fs::remove_dir(place.join("d")).unwrap();
    assert!(!fs::exists(place.join("d")).unwrap());
    assert!(place.end().keys().is_empty());
}

#[test]
fn a_directory_that_is_moved_shows_what_others_put_into_it_before() {
    let test = "a_directory_that_is_moved_shows_what_others_put_into_it_before";
    let setup = Setup::of(test).revalidate(Some(REVALIDATE_DEFAULT_MS));
    let Some(place) = setup.start() else { return };
    fs::create_dir_all(place.join("e/below")).unwrap();
    assert_eq!(names_in(&place.join("e")), ["below"]);
    assert_eq!(names_in(&place.join("e/below")), [""; 0]);
    assert!(!place.join("e/looked-for").exists());
    for key in ["e/new", "e/looked-for", "e/below/new"] {
        place.bucket.put(key, key);
    }
    fs::rename(place.join("e"), place.join("d")).unwrap();
    for path in ["new", "looked-for", "below/new"] {
        let found = fs::read_to_string(place.join(&format!("d/{path}")));
        assert_eq!(found.unwrap(), format!("e/{path}"));
    }
}

#[test]
fn a_directory_that_is_moved_keeps_its_marker() {
    // A store with directories of its own lost one of sixty.
    const TIMES: usize = 100;
    let test = "a_directory_that_is_moved_keeps_its_marker";
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    for number in 0..TIMES {
        let (from, to) = (format!("d{number}"), format!("e{number}"));
        fs::create_dir(place.join(&from)).unwrap();
        place.bucket.put(&format!("{from}/b"), "b");
        fs::rename(place.join(&from), place.join(&to)).unwrap();
        assert!(place.bucket.get(&format!("{to}/")).is_some(), "{to}");
    }
}

#[test]
fn a_directory_without_a_marker_stays_when_it_is_emptied() {
    let test = "a_directory_without_a_marker_stays_when_it_is_emptied";
    emptied_directory_stays(Setup::of(test), Duration::ZERO, || ());
    let fresh = Setup::of(test).revalidate(Some(0));
    emptied_directory_stays(fresh, Duration::ZERO, || ());
}

#[test]
fn a_directory_without_a_marker_stays_longer_than_any_answer_is_kept() {
    const REVALIDATE_MS: u64 = 100;
    let test = "a_directory_without_a_marker_stays_longer_than_any_answer_is_kept";
    let setup = Setup::of(test).revalidate(Some(REVALIDATE_MS));
    // What is kept is kept no longer than that.
    emptied_directory_stays(setup, Duration::from_millis(REVALIDATE_MS * 3), || ());
}

#[test]
fn a_directory_without_a_marker_stays_when_the_kernel_forgets_it() {
    let test = "a_directory_without_a_marker_stays_when_the_kernel_forgets_it";
    let setup = Setup::of(test).revalidate(Some(REVALIDATE_DEFAULT_MS));
    // Directory entries and inodes that nobody uses (proc_sys_vm(5)).
    emptied_directory_stays(setup, Duration::ZERO, || {
        fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
    });
}
