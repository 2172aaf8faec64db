//! The file system `native` under load and faults, against a real S3 server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dlf_tests::settings;
use dlf_wire::dataset::v1::Keys;
use support::bucket::Bucket;
use support::bytes::{MIB, Random, bytes, read_fully};
use support::mounter::{Mount, Mounter, dataset};
use support::place::volume;
use support::proxy::Proxy;

/// A mount of an empty prefix named after the test.
fn setup(test: &str) -> Option<(Bucket, Mounter, Mount)> {
    let server = support::server(test)?;
    let bucket = Bucket::new(&server, test);
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset(bucket.origin()), None);
    Some((bucket, mounter, mount))
}

#[test]
fn any_pattern_of_reads_gives_the_objects_bytes() {
    let Some((bucket, _mounter, mount)) = setup("any_pattern_of_reads_gives_the_objects_bytes")
    else {
        return;
    };
    let reference = bytes(1, 24 * MIB + 12_345);
    bucket.put("big", reference.clone());

    let file = File::open(mount.join("big")).unwrap();
    let mut random = Random(7);
    for _ in 0..400 {
        let start = random.below(reference.len());
        let length = 1 + random.below(600_000);
        let end = reference.len().min(start + length);
        let mut read = vec![0; length];
        let count = read_fully(&file, &mut read, start);
        assert_eq!(count, end - start);
        assert!(read[..count] == reference[start..end], "at {start}");
    }
    // From the start, in odd pieces, through another handle: the stream and its read-ahead.
    let mut streamed = Vec::new();
    let mut file = File::open(mount.join("big")).unwrap();
    let mut piece = vec![0; 99_991];
    loop {
        let count = file.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        streamed.extend_from_slice(&piece[..count]);
    }
    assert!(streamed == reference);
}

#[test]
fn random_reads_fetch_little_more_than_they_ask_for() {
    const READS: usize = 100;
    const LENGTH: usize = 256 * 1024;
    let Some((bucket, mut mounter, mount)) =
        setup("random_reads_fetch_little_more_than_they_ask_for")
    else {
        return;
    };
    bucket.put("big", bytes(11, 200 * MIB));
    // What the node driver sets.
    mount.set_read_ahead("512");
    let file = File::open(mount.join("big")).unwrap();
    let (mut random, mut read) = (Random(3), vec![0; LENGTH]);
    for _ in 0..READS {
        let start = random.below(200 * MIB - LENGTH);
        assert_eq!(read_fully(&file, &mut read, start), LENGTH);
    }
    drop(file);
    let fetched = mounter.stop("m").unwrap().bytes_read;
    assert!(fetched < (READS * LENGTH * 5 / 4) as u64, "{fetched} bytes");
}

#[test]
fn many_readers_of_one_file_get_their_own_bytes() {
    let Some((bucket, _mounter, mount)) = setup("many_readers_of_one_file_get_their_own_bytes")
    else {
        return;
    };
    let reference = bytes(2, 16 * MIB);
    bucket.put("big", reference.clone());
    let file = File::open(mount.join("big")).unwrap();
    thread::scope(|scope| {
        for reader in 0..4_usize {
            let (file, reference) = (&file, &reference);
            scope.spawn(move || {
                let mut buffer = vec![0; 256 * 1024];
                let quarter = reference.len() / 4;
                for start in (reader * quarter..(reader + 1) * quarter).step_by(buffer.len()) {
                    let count = read_fully(file, &mut buffer, start);
                    assert!(buffer[..count] == reference[start..start + count]);
                }
            });
        }
    });
}

#[test]
fn a_large_file_streams_in_parts_and_arrives_whole() {
    let Some((bucket, _mounter, mount)) = setup("a_large_file_streams_in_parts_and_arrives_whole")
    else {
        return;
    };
    let body = bytes(3, 37 * MIB + 17);
    let mut file = File::create(mount.join("large")).unwrap();
    for piece in body.chunks(700_001) {
        file.write_all(piece).unwrap();
    }
    assert!(
        bucket.get("large").is_none(),
        "nothing half-written is seen"
    );
    drop(file);
    assert!(bucket.get("large").unwrap() == body);
    assert!(fs::read(mount.join("large")).unwrap() == body);
}

#[test]
fn writing_goes_on_after_a_sync_in_the_midst_of_a_large_file() {
    let Some((bucket, _mounter, mount)) =
        setup("writing_goes_on_after_a_sync_in_the_midst_of_a_large_file")
    else {
        return;
    };
    let body = bytes(8, 30 * MIB + 5);
    let mut file = File::create(mount.join("large")).unwrap();
    file.write_all(&body[..11 * MIB]).unwrap();
    file.sync_all().unwrap();
    assert!(bucket.get("large").unwrap() == body[..11 * MIB]);
    file.write_all(&body[11 * MIB..]).unwrap();
    drop(file);
    assert!(bucket.get("large").unwrap() == body);
}

#[test]
fn a_thousand_files_are_listed_with_attributes_and_read() {
    let Some((bucket, _mounter, mount)) =
        setup("a_thousand_files_are_listed_with_attributes_and_read")
    else {
        return;
    };
    for n in 0..1_200 {
        bucket.put(&format!("dir/f{n:04}"), format!("body {n}"));
    }
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(mount.join("dir")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let n: usize = name[1..].parse().unwrap();
        assert_eq!(
            entry.metadata().unwrap().len(),
            format!("body {n}").len() as u64
        );
        names.push(name);
    }
    names.sort();
    let wanted: Vec<String> = (0..1_200).map(|n| format!("f{n:04}")).collect();
    assert_eq!(names, wanted);
    for n in (0..1_200).step_by(97) {
        let body = fs::read_to_string(mount.join(&format!("dir/f{n:04}"))).unwrap();
        assert_eq!(body, format!("body {n}"));
    }
}

#[test]
fn renaming_a_file_of_a_gibibyte_moves_no_data_through_the_node() {
    let test = "renaming_a_file_of_a_gibibyte_moves_no_data_through_the_node";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let piece = bytes(4, 64 * MIB);
    bucket.put("piece", piece.clone());
    bucket.repeat("from", "piece", 16);
    bucket.delete("piece");
    let proxy = Proxy::start(server.endpoint.trim_start_matches("http://"));
    let mut dataset = dataset(bucket.origin());
    volume(&mut dataset).origins[0].endpoint = proxy.endpoint();
    // The source answers a copy when it has made it.
    volume(&mut dataset).source_timeout_ms = 60_000;
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset, None);
    assert_eq!(fs::metadata(mount.join("from")).unwrap().len(), 1 << 30);

    let before = (proxy.sent(), proxy.received());
    fs::rename(mount.join("from"), mount.join("to")).unwrap();
    let passed = (proxy.sent() - before.0) + (proxy.received() - before.1);
    assert!(passed < 100_000, "{passed} bytes went through the node");
    assert_eq!(bucket.keys(), ["to"]);
    assert_eq!(bucket.size("to"), 1 << 30);
    let file = File::open(mount.join("to")).unwrap();
    for at in [0, 700 * MIB - 100, (1 << 30) - 4096] {
        let mut read = vec![0; 4096];
        let count = read_fully(&file, &mut read, at);
        let expected: Vec<u8> = piece
            .iter()
            .cycle()
            .skip(at % piece.len())
            .take(count)
            .copied()
            .collect();
        assert!(count > 0 && read[..count] == expected, "at {at}");
    }
    drop(file);
    // The client's own account, of which all is these reads.
    let usage = mounter.stop("m").unwrap();
    assert!(
        usage.bytes_read < 10 * MIB as u64 && usage.bytes_written == 0,
        "{usage:?}"
    );
}

#[test]
fn a_large_file_renamed_before_it_is_closed_is_at_its_new_name_only() {
    let Some((bucket, _mounter, mount)) =
        setup("a_large_file_renamed_before_it_is_closed_is_at_its_new_name_only")
    else {
        return;
    };
    let body = bytes(9, 30 * MIB + 3);
    let mut file = File::create(mount.join("a")).unwrap();
    file.write_all(&body[..20 * MIB]).unwrap();
    fs::rename(mount.join("a"), mount.join("b")).unwrap();
    file.write_all(&body[20 * MIB..25 * MIB]).unwrap();
    // Once more, and now it has been synced: the same file goes on at a third name.
    file.sync_all().unwrap();
    fs::rename(mount.join("b"), mount.join("c")).unwrap();
    file.write_all(&body[25 * MIB..]).unwrap();
    drop(file);
    assert_eq!(bucket.keys(), ["c"]);
    assert!(bucket.get("c").unwrap() == body);
    assert!(fs::read(mount.join("c")).unwrap() == body);
}

#[test]
fn the_files_of_a_renamed_directory_are_read_as_before() {
    let Some((bucket, _mounter, mount)) =
        setup("the_files_of_a_renamed_directory_are_read_as_before")
    else {
        return;
    };
    let body = bytes(10, 20 * MIB + 1);
    fs::create_dir_all(mount.join("d/e")).unwrap();
    fs::write(mount.join("d/e/large"), &body).unwrap();
    fs::write(mount.join("d/small"), "small").unwrap();
    let open = File::open(mount.join("d/e/large")).unwrap();
    fs::rename(mount.join("d"), mount.join("f")).unwrap();
    // A copy of what came in parts may be another version.
    let mut read = vec![0; body.len()];
    assert_eq!(read_fully(&open, &mut read, 0), body.len());
    assert!(read == body);
    assert!(fs::read(mount.join("f/e/large")).unwrap() == body);
    assert_eq!(fs::read_to_string(mount.join("f/small")).unwrap(), "small");

    // One that is being written, and of which much may have been sent, goes with its directory.
    let mut file = File::create(mount.join("f/growing")).unwrap();
    file.write_all(&body).unwrap();
    fs::rename(mount.join("f"), mount.join("g")).unwrap();
    file.write_all(b"the rest").unwrap();
    drop(file);
    let grown = [body.as_slice(), b"the rest"].concat();
    assert!(bucket.get("g/growing").unwrap() == grown);
    assert!(fs::read(mount.join("g/growing")).unwrap() == grown);
    let left = bucket.keys();
    assert!(left.iter().all(|key| key.starts_with("g/")), "{left:?}");
}

#[test]
fn a_file_removed_while_it_is_uploaded_does_not_come_back() {
    let test = "a_file_removed_while_it_is_uploaded_does_not_come_back";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let proxy = Proxy::start(server.endpoint.trim_start_matches("http://"));
    let mut dataset = dataset(bucket.origin());
    volume(&mut dataset).origins[0].endpoint = proxy.endpoint();
    volume(&mut dataset).source_timeout_ms = 30_000;
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset, None);
    let mut file = File::create(mount.join("a")).unwrap();
    file.write_all(b"text").unwrap();
    proxy.hold_next_connection();
    thread::scope(|scope| {
        let uploading = scope.spawn(|| file.sync_all());
        while !proxy.holds() {
            thread::yield_now();
        }
        let removing = scope.spawn(|| fs::remove_file(mount.join("a")));
        // It has to wait for the upload. If it did not, it would be done long before this.
        let until = Instant::now() + Duration::from_secs(1);
        while !removing.is_finished() && Instant::now() < until {
            thread::yield_now();
        }
        proxy.let_go();
        uploading.join().unwrap().unwrap();
        removing.join().unwrap().unwrap();
    });
    drop(file);
    assert!(bucket.keys().is_empty(), "{:?}", bucket.keys());
}

#[test]
fn a_reader_in_a_loop_notices_nothing_of_rotated_keys() {
    let test = "a_reader_in_a_loop_notices_nothing_of_rotated_keys";
    let Some(server) = support::server(test) else {
        return;
    };
    let (Some(key), Some(secret)) = (
        settings().find("S3_READER_KEY"),
        settings().find("S3_READER_SECRET"),
    ) else {
        println!("SKIPPED {test}: no second pair of keys (S3_READER_KEY, S3_READER_SECRET)");
        return;
    };
    let bucket = Bucket::new(&server, test);
    bucket.put("a", bytes(5, 3 * MIB));
    let mut dataset = dataset(bucket.origin());
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset, None);
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(fs::read(mount.join("a")).unwrap().len(), 3 * MIB);
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        thread::sleep(Duration::from_millis(300));
        dataset.version = 2;
        volume(&mut dataset).origins[0].keys = Some(Keys {
            access_key_id: key,
            secret_access_key: secret,
            session_token: String::new(),
        });
        mounter.configure("m", &dataset);
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) > 2);

    // And keys that are wrong are refused from the next request on, until right ones come.
    dataset.version = 3;
    let good = volume(&mut dataset).origins[0].keys.replace(Keys {
        access_key_id: "nobody".to_owned(),
        secret_access_key: "nothing".to_owned(),
        session_token: String::new(),
    });
    mounter.configure("m", &dataset);
    let refused = fs::read(mount.join("b")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    dataset.version = 4;
    volume(&mut dataset).origins[0].keys = good;
    mounter.configure("m", &dataset);
    assert_eq!(fs::read(mount.join("a")).unwrap().len(), 3 * MIB);
}

#[test]
fn reads_wait_for_a_source_that_restarts_and_give_up_on_one_that_stays_away() {
    let test = "reads_wait_for_a_source_that_restarts_and_give_up_on_one_that_stays_away";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    let reference = bytes(6, 20 * MIB);
    bucket.put("a", reference.clone());
    let proxy = Proxy::start(server.endpoint.trim_start_matches("http://"));
    let mut dataset = dataset(bucket.origin());
    volume(&mut dataset).origins[0].endpoint = proxy.endpoint();
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset, None);

    thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read(mount.join("a")).unwrap());
        thread::sleep(Duration::from_millis(30));
        proxy.go_down();
        thread::sleep(Duration::from_secs(2));
        proxy.come_back();
        assert!(reader.join().unwrap() == reference);
    });

    proxy.go_down();
    let began = Instant::now();
    let error = fs::read(mount.join("b")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5), "EIO: {error}");
    // The source's time-out is 5 s here.
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    proxy.come_back();
    assert!(fs::read(mount.join("a")).unwrap() == reference);
}

#[test]
fn a_failed_upload_is_reported_by_close_and_leaves_the_old_file() {
    let test = "a_failed_upload_is_reported_by_close_and_leaves_the_old_file";
    let Some(server) = support::server(test) else {
        return;
    };
    let bucket = Bucket::new(&server, test);
    bucket.put("a", "old");
    let proxy = Proxy::start(server.endpoint.trim_start_matches("http://"));
    let mut dataset = dataset(bucket.origin());
    volume(&mut dataset).origins[0].endpoint = proxy.endpoint();
    let mut mounter = Mounter::start();
    let mount = mounter.mount("m", &dataset, None);
    let mut file = File::create(mount.join("a")).unwrap();
    file.write_all(b"new").unwrap();
    proxy.go_down();
    let error = file.sync_all().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5), "EIO: {error}");
    drop(file);
    proxy.come_back();
    assert_eq!(bucket.get("a").unwrap(), "old");
    // The name is at once what the source has, and the next try is a new one.
    assert_eq!(fs::read_to_string(mount.join("a")).unwrap(), "old");
    fs::write(mount.join("a"), "new").unwrap();
    assert_eq!(bucket.get("a").unwrap(), "new");
}
