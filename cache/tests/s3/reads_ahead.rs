//! Reads of open files, and what they hold of a budget.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dlf_cache::{Budget, ErrorKind, Object, ObjectStore, PutCondition, Reader, read_range};

use crate::support::{clean, pattern, store};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What the kernel asks for with its own read-ahead as it is by default.
const REQUEST: u64 = 128 * KIB;

/// Longer than a reader may pause before it loses what was fetched ahead.
const PAUSE: Duration = Duration::from_secs(3);

async fn put(store: &ObjectStore, key: &str, bytes: &Bytes) -> Object {
    let etag = store.put(key, bytes.clone(), PutCondition::None).await;
    Object {
        key: key.to_owned(),
        etag: etag.unwrap(),
        size: bytes.len() as u64,
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let index = |at: u64| usize::try_from(at).unwrap().min(bytes.len());
    bytes.slice(index(range.start)..index(range.end))
}

/// Reads in order and compares every byte.
async fn read_on(reader: &Reader, object: &Object, bytes: &Bytes, range: Range<u64>) {
    let end = range.end;
    for start in range.step_by(128 * 1024) {
        let range = start..end.min(start + REQUEST);
        let read = reader.read(object, range.clone()).await.unwrap();
        assert!(read == slice(bytes, &range), "{range:?}");
    }
}

/// Nothing is left of it once everybody has gone.
fn given_back(budget: &Budget) {
    let usage = budget.usage();
    assert_eq!(usage, Budget::new(usage.total).usage());
}

#[tokio::test]
async fn a_range_is_read_whole_in_pieces_of_any_length() {
    need_server!("a_range_is_read_whole_in_pieces_of_any_length");
    let store = store().await;
    let bytes = pattern(3 * 1024 * 1024 + 17);
    let object = put(&store, "object", &bytes).await;
    for range in [
        0..1,
        0..object.size,
        7..7 + 256 * KIB,
        7..8 + 256 * KIB,
        5..5 + MIB + 3,
        object.size - 1..object.size,
        9..9,
    ] {
        let read = read_range(&store, &object, range.clone()).await.unwrap();
        assert!(read == slice(&bytes, &range), "{range:?}");
    }
    let wrong = Object {
        size: object.size + 10,
        ..object.clone()
    };
    let beyond = read_range(&store, &wrong, object.size - 5..wrong.size);
    let error = beyond.await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
    clean(&store).await;
}

#[tokio::test]
async fn a_stream_is_read_ahead_and_its_bytes_are_right_in_any_order() {
    need_server!("a_stream_is_read_ahead_and_its_bytes_are_right_in_any_order");
    let store = store().await;
    let bytes = pattern(40 * 1024 * 1024 + 4321);
    let object = put(&store, "object", &bytes).await;
    let budget = Budget::new(Budget::MOUNT_BYTES_DEFAULT);
    let reader = Reader::new(store.clone(), Arc::clone(&budget));
    let before = store.usage();
    read_on(&reader, &object, &bytes, 0..object.size).await;
    let after = store.usage();
    assert_eq!(
        after.bytes_read - before.bytes_read,
        object.size,
        "each byte once"
    );
    let requests = after.requests - before.requests;
    assert!(requests <= object.size / MIB, "{requests} requests");
    assert_eq!(budget.usage().read_ahead, 0, "all of it has been read");
    // Overtaking requests, jumps, repetitions and reads beyond the end.
    for start in (0..20 * MIB).step_by(512 * 1024) {
        for n in [1, 0, 3, 2] {
            let start = start + n * REQUEST;
            read_on(&reader, &object, &bytes, start..start + REQUEST).await;
        }
    }
    for start in [30 * MIB, 5 * MIB, 5 * MIB, object.size - 9, 0] {
        read_on(&reader, &object, &bytes, start..start + MIB).await;
    }
    drop(reader);
    given_back(&budget);
    clean(&store).await;
}

#[tokio::test]
async fn a_stream_beside_four_paused_ones_is_read_ahead() {
    need_server!("a_stream_beside_four_paused_ones_is_read_ahead");
    let store = store().await;
    let bytes = pattern(64 * 1024 * 1024);
    let object = put(&store, "object", &bytes).await;
    let budget = Budget::new(32 * 1024 * 1024);
    let readers = [(); 5].map(|()| Reader::new(store.clone(), Arc::clone(&budget)));
    let [paused @ .., fifth] = &readers;
    for reader in paused {
        read_on(reader, &object, &bytes, 0..32 * MIB).await;
    }
    let buffered = budget.usage().read_ahead;
    assert!(
        buffered >= 8 * 1024 * 1024,
        "they hold {buffered} bytes of 16 MiB"
    );
    tokio::time::pause();
    tokio::time::advance(PAUSE).await;
    tokio::time::resume();
    let before = store.usage().requests;
    read_on(fifth, &object, &bytes, 0..object.size).await;
    let requests = store.usage().requests - before;
    assert!(requests <= object.size / MIB, "{requests} requests");
    // Who paused reads on.
    read_on(&paused[0], &object, &bytes, 32 * MIB..48 * MIB).await;
    drop(readers);
    given_back(&budget);
    clean(&store).await;
}

#[tokio::test]
async fn of_five_streams_at_once_each_is_read_ahead() {
    need_server!("of_five_streams_at_once_each_is_read_ahead");
    let store = store().await;
    let bytes = pattern(32 * 1024 * 1024);
    let object = put(&store, "object", &bytes).await;
    let budget = Budget::new(32 * 1024 * 1024);
    let readers = [(); 5].map(|()| Reader::new(store.clone(), Arc::clone(&budget)));
    let [busy @ .., fifth] = &readers;
    // Four have all there is before the fifth begins, and go on.
    for reader in busy {
        read_on(reader, &object, &bytes, 0..8 * MIB).await;
    }
    let mut requests = 0;
    for start in (0..object.size).step_by(1024 * 1024) {
        for reader in busy {
            let start = 8 * MIB + start / 2;
            read_on(reader, &object, &bytes, start..start + MIB / 2).await;
        }
        let before = store.usage().requests;
        read_on(fifth, &object, &bytes, start..start + MIB).await;
        requests += store.usage().requests - before;
        let usage = budget.usage();
        assert!(usage.read_ahead <= usage.total / 2, "{usage:?}");
    }
    // Single trips would be eight for each MiB. Requests of the others that were on their way are
    // among these.
    assert!(requests <= 4 * object.size / MIB, "{requests} requests");
    drop(readers);
    given_back(&budget);
    clean(&store).await;
}

#[tokio::test]
async fn a_stream_of_a_version_that_is_gone_says_so_and_mixes_nothing() {
    need_server!("a_stream_of_a_version_that_is_gone_says_so_and_mixes_nothing");
    let store = store().await;
    let bytes = pattern(64 * 1024 * 1024);
    let old = put(&store, "object", &bytes).await;
    let budget = Budget::new(Budget::MOUNT_BYTES_DEFAULT);
    let reader = Reader::new(store.clone(), Arc::clone(&budget));
    read_on(&reader, &old, &bytes, 0..2 * MIB).await;
    let other: Bytes = bytes.iter().map(|byte| !byte).collect();
    let new = put(&store, "object", &other).await;
    let mut at = 2 * MIB;
    let error = loop {
        let range = at..at + REQUEST;
        match reader.read(&old, range.clone()).await {
            // It had arrived, or was on its way, before the object was replaced.
            Ok(read) => assert!(read == slice(&bytes, &range), "{range:?}"),
            Err(error) => break error,
        }
        at += REQUEST;
    };
    assert_eq!(*error.kind(), ErrorKind::PreconditionFailed);
    read_on(&reader, &new, &other, at..at + 4 * MIB).await;
    store.delete("object").await.unwrap();
    let error = reader.read(&new, 60 * MIB..61 * MIB).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
    drop(reader);
    given_back(&budget);
    clean(&store).await;
}

#[tokio::test]
async fn a_stream_goes_on_after_its_object_was_renamed() {
    need_server!("a_stream_goes_on_after_its_object_was_renamed");
    let store = store().await;
    let bytes = pattern(32 * 1024 * 1024);
    let old = put(&store, "object", &bytes).await;
    let budget = Budget::new(Budget::MOUNT_BYTES_DEFAULT);
    let reader = Reader::new(store.clone(), Arc::clone(&budget));
    read_on(&reader, &old, &bytes, 0..4 * MIB).await;
    let meta = store.head(&old.key).await.unwrap();
    let new = Object {
        key: "renamed".to_owned(),
        ..old
    };
    store.copy(&meta, &new.key).await.unwrap();
    store.delete(&old.key).await.unwrap();
    let etag = store.head(&new.key).await.unwrap().etag;
    let new = Object { etag, ..new };
    read_on(&reader, &new, &bytes, 4 * MIB..new.size).await;
    clean(&store).await;
}
