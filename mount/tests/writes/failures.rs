//! Writes that fail: the program is told, the old file stays, and the next try is a new one.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use dlf_tests::eventually;
use rustix::io::Errno;

use crate::support::bytes::{MIB, assert_bytes, bytes};
use crate::support::file::{close, save};
use crate::support::http_proxy::{ACCESS_DENIED, Head, NO_SPACE, Refusal};
use crate::support::link::TIMEOUT;
use crate::support::place::{Place, Setup};

const SMALL: usize = 100;

/// Several parts of an upload.
const LARGE: usize = 20 * MIB;

/// The next request for `name` that `matches` is refused, while it is written and closed.
fn refused_once(
    place: &Place,
    name: &str,
    length: usize,
    (refusal, errno): (Refusal, Errno),
    matches: fn(&Head) -> bool,
) {
    let body = bytes(40, length);
    for old in [Some("old"), None] {
        let name = format!("{name}-{}", if old.is_some() { "over" } else { "new" });
        let path = place.join(&name);
        if let Some(old) = old {
            place.bucket.put(&name, old);
            // Known to the kernel, with its size and its bytes.
            assert_eq!(fs::read_to_string(&path).unwrap(), old);
        }
        let end = format!("/{name}");
        let wanted = move |request: &Head| request.path().ends_with(&end) && matches(request);
        place.proxy().refuse(1, refusal, wanted);
        let error = save(&path, &body).unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(errno.raw_os_error()),
            "{name}: {error}"
        );
        assert_eq!(place.proxy().left(), 0, "{name}: it was refused once");
        let shown = fs::read_to_string(&path);
        let shown = shown.map_err(|error| error.kind());
        assert_eq!(shown.as_deref().ok(), old, "{name}: {shown:?}");
        assert_eq!(place.bucket.text(&name).as_deref(), old, "{name}");
        save(&path, &body).unwrap();
        assert_bytes(fs::read(&path).unwrap(), &body, &name);
        assert_bytes(place.bucket.get(&name).unwrap(), &body, &name);
    }
}

fn is_put(request: &Head) -> bool {
    request.method() == "PUT"
}

fn is_start(request: &Head) -> bool {
    request.method() == "POST" && request.parameter("uploads").is_some()
}

fn is_completion(request: &Head) -> bool {
    request.method() == "POST" && request.parameter("uploadId").is_some()
}

#[test]
fn a_store_that_refuses_once_leaves_the_old_file_and_takes_the_next() {
    let test = "a_store_that_refuses_once_leaves_the_old_file_and_takes_the_next";
    let Some(place) = Setup::of(test).behind_proxy().start() else {
        return;
    };
    for (kind, said) in [
        ("denied", (ACCESS_DENIED, Errno::ACCESS)),
        ("full", (NO_SPACE, Errno::NOSPC)),
    ] {
        refused_once(&place, &format!("{kind}-small"), SMALL, said, is_put);
        refused_once(&place, &format!("{kind}-start"), LARGE, said, is_start);
        refused_once(&place, &format!("{kind}-whole"), LARGE, said, is_completion);
    }
}

#[test]
fn whoever_could_not_write_reads_no_bytes_that_nobody_wrote() {
    const TOO_FAR: u64 = 1 << 62;
    let test = "whoever_could_not_write_reads_no_bytes_that_nobody_wrote";
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let file = options.open(place.join("f")).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    file.write_all_at(b"new", TOO_FAR).unwrap_err();
    file.sync_all().unwrap_err();
    let mut read = [0; 3];
    match file.read_exact_at(&mut read, 0) {
        Ok(()) => assert_eq!(&read, b"new"),
        Err(error) => assert_eq!(Errno::from_io_error(&error), Some(Errno::FBIG)),
    }
    close(file).unwrap_err();
}

#[test]
fn what_is_saved_by_the_second_try_is_seen_although_the_name_was_looked_for_in_between() {
    const ROUNDS: usize = 10;
    let test =
        "what_is_saved_by_the_second_try_is_seen_although_the_name_was_looked_for_in_between";
    let Some(place) = Setup::of(test).behind_proxy().start() else {
        return;
    };
    for round in 0..ROUNDS {
        let path = place.join(&format!("f{round}"));
        let file = File::create(&path).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        place.proxy().refuse(1, NO_SPACE, is_put);
        file.sync_all().unwrap_err();
        assert!(!path.exists(), "the name is what the source has: nothing");
        file.sync_all().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new", "round {round}");
        close(file).unwrap();
    }
}

#[test]
fn what_was_appended_and_refused_is_shown_behind_what_others_put() {
    const KNOWN_WITHIN: Duration = Duration::from_secs(30);
    let test = "what_was_appended_and_refused_is_shown_behind_what_others_put";
    let Some(place) = Setup::of(test).behind_proxy().start() else {
        return;
    };
    place.bucket.put("f", "old");
    let mut options = File::options();
    let file = options.read(true).append(true).open(place.join("f"));
    let mut file = file.unwrap();
    file.write_all(b" mine").unwrap();
    // The kernel has its pages from now on.
    assert_eq!(fs::read_to_string(place.join("f")).unwrap(), "old mine");
    place.bucket.put("f", "theirs");
    place.proxy().refuse(1, NO_SPACE, is_put);
    file.sync_all().unwrap_err();
    // The kernel is told to drop its pages, and does that by itself.
    eventually("the file is read as it will be", KNOWN_WITHIN, || {
        let mut read = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut read).unwrap();
        if read == "theirs mine" {
            Ok(())
        } else {
            Err(read)
        }
    });
    close(file).unwrap();
    assert_eq!(place.bucket.text("f").as_deref(), Some("theirs mine"));
}

#[test]
fn a_part_that_was_refused_once_is_sent_again() {
    let Some(place) = Setup::of("a_part_that_was_refused_once_is_sent_again")
        .behind_proxy()
        .start()
    else {
        return;
    };
    let body = bytes(41, LARGE);
    place.proxy().refuse(1, ACCESS_DENIED, is_put);
    save(&place.join("f"), &body).unwrap();
    assert_eq!(place.proxy().left(), 0, "a part was refused");
    assert_bytes(place.bucket.get("f").unwrap(), &body, "f");
}

#[test]
fn a_copy_that_was_refused_is_made_by_the_next_try() {
    const ROUNDS: usize = 5;
    let Some(place) = Setup::of("a_copy_that_was_refused_is_made_by_the_next_try")
        .behind_proxy()
        .start()
    else {
        return;
    };
    for round in 0..ROUNDS {
        let name = format!("f{round}");
        place.bucket.put(&name, "old\n");
        let end = format!("/{name}");
        place.proxy().refuse(1, ACCESS_DENIED, move |request| {
            is_put(request) && request.path().ends_with(&end)
        });
        let script = format!(
            "echo new > ../new || exit; cat {name}; cp ../new {name} && exit 9; cat {name}; \
             cp ../new {name} && cat {name}"
        );
        let said = place.sh(&script).expect_ok();
        assert_eq!(said, "old\nold\nnew\n", "round {round}");
        assert_eq!(place.bucket.text(&name).as_deref(), Some("new\n"));
    }
}

#[test]
fn a_file_that_found_no_room_is_not_uploaded_and_leaves_the_old_one() {
    const ROUNDS: usize = 3;
    const STAGING_BYTES: u64 = 8 * MIB as u64;
    // More than memory, of which one mount's files may take 256 MiB, and staging together hold.
    const PIECES: usize = 400;
    let test = "a_file_that_found_no_room_is_not_uploaded_and_leaves_the_old_one";
    let Some(place) = Setup::of(test).with_staging_of(STAGING_BYTES).start() else {
        return;
    };
    let piece = bytes(50, MIB);
    for round in 0..ROUNDS {
        let (name, path) = (format!("f{round}"), place.join(&format!("f{round}")));
        place.bucket.put(&name, "old");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let file = File::create(&path).unwrap();
        // From the end, and with gaps: nothing of it can be sent before the rest is there.
        let mut written = (0..PIECES)
            .rev()
            .map(|n| file.write_all_at(&piece, ((2 * n + 1) * MIB) as u64));
        let error = written
            .find_map(Result::err)
            .expect("there is no room for it");
        assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
        let error = close(file).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(place.bucket.text(&name).as_deref(), Some("old"));
        // What it took is free again.
        let file = File::create(&path).unwrap();
        file.write_all_at(&piece, MIB as u64).unwrap();
        file.write_all_at(&piece, 0).unwrap();
        close(file).unwrap();
        let whole = [piece.as_slice(), piece.as_slice()].concat();
        assert_bytes(fs::read(&path).unwrap(), &whole, &name);
        assert_bytes(place.bucket.get(&name).unwrap(), &whole, &name);
    }
}

#[test]
fn a_node_without_room_streams_what_is_written_in_order_and_keeps_its_other_promises() {
    let test = "a_node_without_room_streams_what_is_written_in_order_and_keeps_its_other_promises";
    let Some(place) = Setup::of(test).with_staging_of(0).start() else {
        return;
    };
    // The shortest file of which anything is sent before it is closed.
    let part = bytes(61, 8 * MIB);
    save(&place.join("part"), &part).unwrap();
    assert_bytes(place.bucket.get("part").unwrap(), &part, "part");
    let body = bytes(60, LARGE);
    for name in ["new", "over"] {
        let path = place.join(name);
        if name == "over" {
            place.bucket.put(name, "old");
        }
        let old = place.bucket.text(name);
        let mut file = File::create(&path).unwrap();
        for piece in body.chunks(MIB) {
            file.write_all(piece).unwrap();
        }
        assert_eq!(
            place.bucket.text(name),
            old,
            "{name}: nothing before it is closed"
        );
        let moved = fs::rename(&path, place.join("moved")).unwrap_err();
        assert_eq!(Errno::from_io_error(&moved), Some(Errno::BUSY), "{moved}");
        close(file).unwrap();
        assert_bytes(fs::read(&path).unwrap(), &body, name);
        assert_bytes(place.bucket.get(name).unwrap(), &body, name);
        // The bytes are the source's now, as they are for every file.
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"patch", 3).unwrap();
        close(file).unwrap();
        let patched = [&body[..3], b"patch", &body[8..]].concat();
        assert_bytes(place.bucket.get(name).unwrap(), &patched, name);
    }

    let path = place.join("over");
    let whole = place.bucket.get("over").unwrap();
    let mut file = File::create(&path).unwrap();
    file.write_all(&body).unwrap();
    let error = file.write_all_at(b"header", 0).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
    let error = close(file).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
    assert_bytes(fs::read(&path).unwrap(), &whole, "the old file stays");
    assert_bytes(
        place.bucket.get("over").unwrap(),
        &whole,
        "the old object stays",
    );
}

/// An hour, in milliseconds: beyond the limit of a test.
const SOURCE_TIMEOUT_MS: u64 = 3_600_000;

/// A process that waits for the source when `signal` ends it.
fn ends_though_its_source_is_away(place: &Place, script: &str, signal: &str, method: &'static str) {
    let hold = place
        .proxy()
        .hold_request(move |request| request.method() == method);
    let mut program = Command::new("sh")
        .args(["-c", &format!("exec {script}")])
        .current_dir(&place.mount.path)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    hold.wait();
    let killed = Command::new("kill")
        .args([signal, &program.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let status = program.wait().unwrap();
    assert!(status.signal().is_some(), "{script}, {signal}: {status}");
    hold.let_go();
}

#[test]
fn a_program_that_waits_for_the_source_can_be_killed() {
    let test = "a_program_that_waits_for_the_source_can_be_killed";
    let setup = Setup::of(test).source_timeout(SOURCE_TIMEOUT_MS);
    let Some(place) = setup.behind_proxy().start() else {
        return;
    };
    place.bucket.put("f", "old");
    ends_though_its_source_is_away(&place, "cat f", "-INT", "GET");
    for signal in ["-KILL", "-INT", "-TERM"] {
        let name = format!("closed{signal}");
        let script = format!("cp /etc/passwd {name}");
        ends_though_its_source_is_away(&place, &script, signal, "PUT");
        // It was closed before it was killed.
        let whole = fs::read("/etc/passwd").unwrap();
        eventually(&name, TIMEOUT, || {
            let found = place.bucket.get(&name).ok_or("not there")?;
            (found == whole).then_some(()).ok_or("not whole".to_owned())
        });
    }
}
