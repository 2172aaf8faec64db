//! One file in the hands of two: what others made meanwhile is not lost.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::thread;

use rustix::io::Errno;

use crate::support::bytes::{MIB, assert_bytes, bytes};
use crate::support::file::close;
use crate::support::place::Setup;

const ROUNDS: usize = 10;

#[test]
fn a_move_does_not_delete_what_another_put_at_the_old_name() {
    let test = "a_move_does_not_delete_what_another_put_at_the_old_name";
    let Some(place) = Setup::of(test).behind_proxy().start() else {
        return;
    };
    for round in 0..ROUNDS {
        let (from, to) = (format!("ckpt{round}"), format!("old{round}"));
        place.bucket.put(&from, "the older");
        // Between the copy and the deletion, or the look that goes before a deletion.
        let (end, mut copied) = (format!("/{from}"), false);
        let hold = place.proxy().hold_request(move |request| {
            copied |= request.header("x-amz-copy-source").is_some();
            copied
                && matches!(request.method(), "DELETE" | "HEAD")
                && request.path().ends_with(&end)
        });
        thread::scope(|scope| {
            let moving = scope.spawn(|| fs::rename(place.join(&from), place.join(&to)));
            hold.wait();
            place.bucket.put(&from, "the newer");
            hold.let_go();
            // It may say that the file was replaced, and may have moved the older one all the same.
            let _ = moving.join().unwrap();
        });
        assert_eq!(place.bucket.text(&from).as_deref(), Some("the newer"));
        let moved = place.bucket.text(&to);
        assert!(
            moved.is_none_or(|moved| moved == "the older"),
            "round {round}"
        );
    }
}

#[test]
fn what_a_file_is_lengthened_by_is_not_laid_behind_what_others_put() {
    let test = "what_a_file_is_lengthened_by_is_not_laid_behind_what_others_put";
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let by_its_length: fn(&fs::File) -> io::Result<()> = |file| file.set_len(8);
    let by_a_hole: fn(&fs::File) -> io::Result<()> = |file| file.write_all_at(b"x", 7);
    for (name, lengthen) in [("by its length", by_its_length), ("by a hole", by_a_hole)] {
        place.bucket.put(name, "abc");
        let file = OpenOptions::new().write(true).open(place.join(name));
        let file = file.unwrap();
        lengthen(&file).unwrap();
        place.bucket.put(name, "another's");
        let closed = close(file).unwrap_err();
        assert_eq!(Errno::from_io_error(&closed), Some(Errno::STALE), "{name}");
        assert_eq!(place.bucket.text(name).as_deref(), Some("another's"));
    }
}

#[test]
fn whoever_has_a_file_open_does_not_go_on_with_another_that_is_moved_in_its_place() {
    let test = "whoever_has_a_file_open_does_not_go_on_with_another_that_is_moved_in_its_place";
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    for round in 0..ROUNDS {
        let (from, to) = (format!("a{round}"), format!("b{round}"));
        place.bucket.put(&from, "the older");
        let mut file = fs::File::open(place.join(&from)).unwrap();
        place.bucket.put(&from, "the newer one");
        fs::rename(place.join(&from), place.join(&to)).unwrap();
        let mut read = String::new();
        match file.read_to_string(&mut read) {
            Ok(_) => assert_eq!(read, "the older", "round {round}"),
            Err(error) => assert_eq!(Errno::from_io_error(&error), Some(Errno::STALE)),
        }
        let moved = fs::read_to_string(place.join(&to)).unwrap();
        assert_eq!(moved, "the newer one", "round {round}");
    }
}

fn an_exclusive_file_is_not_put_over_another(test: &'static str, length: usize) {
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let body = bytes(60, length);
    for round in 0..ROUNDS {
        let (name, path) = (format!("f{round}"), place.join(&format!("f{round}")));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).open(&path).unwrap();
        // Before, amid or after the writes: it is all the same to who closes last.
        let amid = body.len() * round / ROUNDS;
        file.write_all(&body[..amid]).unwrap();
        place.bucket.put(&name, "theirs");
        file.write_all(&body[amid..]).unwrap();
        let error = close(file).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::EXIST), "{error}");
        assert_eq!(place.bucket.text(&name).as_deref(), Some("theirs"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        // And alone it arrives.
        let (name, path) = (format!("g{round}"), place.join(&format!("g{round}")));
        let mut file = options.open(&path).unwrap();
        file.write_all(&body).unwrap();
        close(file).unwrap();
        assert_bytes(place.bucket.get(&name).unwrap(), &body, &name);
    }
}

#[test]
fn an_exclusive_file_that_came_too_late_shows_the_other_although_a_listing_had_none() {
    let test = "an_exclusive_file_that_came_too_late_shows_the_other_although_a_listing_had_none";
    let Some(place) = Setup::of(test).revalidate(None).start() else {
        return;
    };
    assert_eq!(fs::read_dir(&place.mount.path).unwrap().count(), 0);
    place.bucket.put("f", "theirs");
    let mut options = OpenOptions::new();
    let path = place.join("f");
    let mut file = options.write(true).create_new(true).open(&path).unwrap();
    file.write_all(b"ours").unwrap();
    let error = close(file).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::EXIST), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
}

#[test]
fn a_small_exclusive_file_is_not_put_over_one_that_came_meanwhile() {
    let test = "a_small_exclusive_file_is_not_put_over_one_that_came_meanwhile";
    an_exclusive_file_is_not_put_over_another(test, 1_000);
}

#[test]
fn a_large_exclusive_file_is_not_put_over_one_that_came_meanwhile() {
    let test = "a_large_exclusive_file_is_not_put_over_one_that_came_meanwhile";
    an_exclusive_file_is_not_put_over_another(test, 20 * MIB);
}
