use std::sync::Arc;
use std::time::SystemTime;

use dlf_cache::Budget;
use proptest::prelude::*;

use super::*;
use crate::node::staging;

#[derive(Clone, Debug)]
enum Step {
    Write(u64, usize),
    Append(usize),
    Truncate(u64),
    Commit,
    Rebase(Option<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..300_u64, 0..120_usize).prop_map(|(at, length)| Step::Write(at, length)),
        4 => (0..120_usize).prop_map(Step::Append),
        2 => (0..400_u64).prop_map(Step::Truncate),
        1 => Just(Step::Commit),
        1 => prop::option::of(0..200_usize).prop_map(Step::Rebase),
    ]
}

/// Bytes that no other write and no base has, as far as a byte can tell.
fn fresh(seed: &mut u8, length: usize) -> Vec<u8> {
    *seed = seed.wrapping_add(41) | 1;
    vec![*seed; length]
}

fn version_of(bytes: &[u8]) -> Version {
    Version {
        etag: Arc::from(format!("{bytes:?}")),
        size: bytes.len() as u64,
        modified: SystemTime::UNIX_EPOCH,
    }
}

/// All of `content`, with what comes of the base taken from `base`.
async fn whole(content: &Content, base: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (piece, place) in content.pieces(0..content.size) {
        assert_eq!(piece.start, bytes.len() as u64, "no hole and no overlap");
        if place == Place::Base {
            let range = usize::try_from(piece.start).unwrap()..usize::try_from(piece.end).unwrap();
            bytes.extend_from_slice(&base[range]);
        } else {
            bytes.extend_from_slice(&content.local(&piece, place).await.unwrap());
        }
    }
    bytes
}

proptest! {
    /// Whatever is written, in whatever order and wherever it has to be put: it reads as a plain
    /// array of bytes does, and what was appended can be laid behind anything.
    #[test]
    fn content_is_an_array_of_bytes(
        base in prop::option::of(0..200_usize),
        memory in prop_oneof![Just(0), Just(64), Just(1 << 20)],
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let place = staging::Staging::of_test(directory.path(), 1 << 20, 1 << 20, 0);
            let staging = Staging::new(Some(place));
            let mut seed = 1;
            let mut base = base.map(|length| fresh(&mut seed, length));
            let version = base.as_deref().map(version_of);
            let mut model = base.clone().unwrap_or_default();
            let mut content = Content::new(version, Arc::new(staging), Budget::new(memory));
            for step in steps {
                match step {
                    Step::Write(at, length) => {
                        let data = fresh(&mut seed, length);
                        content.write(at, Bytes::copy_from_slice(&data)).await.unwrap();
                        let at = usize::try_from(at).unwrap();
                        if !data.is_empty() {
                            model.resize(model.len().max(at + length), 0);
                            model[at..at + length].copy_from_slice(&data);
                        }
                    }
                    Step::Append(length) => {
                        let data = fresh(&mut seed, length);
                        content.write(content.size, Bytes::copy_from_slice(&data)).await.unwrap();
                        model.extend_from_slice(&data);
                    }
                    Step::Truncate(size) => {
                        content.truncate(size).unwrap();
                        model.resize(usize::try_from(size).unwrap(), 0);
                    }
                    Step::Commit => {
                        content.committed(version_of(&model));
                        base = Some(model.clone());
                        assert!(!content.is_changed());
                    }
                    Step::Rebase(length) => {
                        if !content.is_append() || !content.is_changed() {
                            continue;
                        }
                        let before = base.as_ref().map_or(0, Vec::len);
                        let appended = model.split_off(before);
                        base = length.map(|length| fresh(&mut seed, length));
                        content.rebase(base.as_deref().map(version_of)).await.unwrap();
                        model = base.clone().unwrap_or_default();
                        model.extend_from_slice(&appended);
                    }
                }
                assert_eq!(content.size, model.len() as u64);
                let read = whole(&content, base.as_deref().unwrap_or_default()).await;
                assert_eq!(&read, &model);
            }
            let changed = base.as_ref() != Some(&model);
            assert!(content.is_changed() || !changed, "a change would not be committed");
        });
    }
}

#[tokio::test]
async fn a_part_that_is_written_in_order_is_handed_out_once_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let place = staging::Staging::of_test(directory.path(), 1 << 30, 1 << 30, 0);
    let staging = Arc::new(Staging::new(Some(place)));
    let mut content = Content::new(None, staging.clone(), Budget::new(256 << 20));
    let piece = vec![7; 1_000_000];
    let (mut at, mut sealed) = (0, Vec::new());
    while at < 3 * PART_BYTES {
        sealed.extend(
            content
                .write(at, Bytes::copy_from_slice(&piece))
                .await
                .unwrap(),
        );
        at += piece.len() as u64;
    }
    let ranges: Vec<_> = sealed.iter().map(|sealed| sealed.range.clone()).collect();
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[2], 2 * PART_BYTES..3 * PART_BYTES);
    assert!(sealed.iter().all(|sealed| sealed.lease.is_some()));
    assert_eq!(staging.used(), 3 * PART_BYTES, "they can still be read");
}

#[tokio::test]
async fn a_small_file_needs_no_staging_directory_whatever_order_it_is_written_in() {
    let staging = Arc::new(Staging::new(None));
    let mut content = Content::new(None, staging, Budget::new(256 << 20));
    content
        .write(0, Bytes::from_static(b"0123456789"))
        .await
        .unwrap();
    content.write(3, Bytes::from_static(b"abc")).await.unwrap();
    content.write(10, Bytes::from_static(b"end")).await.unwrap();
    content.truncate(12).unwrap();
    assert_eq!(whole(&content, b"").await, b"012abc6789en");
    let refused = content.write(1_000, Bytes::from_static(b"x")).await;
    assert_eq!(refused.err(), Some(Errno::ENOSPC));
}

#[tokio::test]
async fn without_room_on_the_disk_whole_parts_are_in_the_upload_alone_and_are_not_changed() {
    let mut content = Content::new(None, Arc::new(Staging::new(None)), Budget::new(256 << 20));
    let piece = vec![7; usize::try_from(PART_BYTES / 2).unwrap()];
    let mut sealed = Vec::new();
    for at in (0..5).map(|half| half * PART_BYTES / 2) {
        sealed.extend(
            content
                .write(at, Bytes::copy_from_slice(&piece))
                .await
                .unwrap(),
        );
    }
    assert!(sealed.len() == 2 && sealed.iter().all(|sealed| !sealed.staged));
    assert!(content.is_only_sent());
    let size = 5 * PART_BYTES / 2;
    let places = [
        (0..2 * PART_BYTES, Place::Sent),
        (2 * PART_BYTES..size, Place::Memory),
    ];
    assert_eq!(content.pieces(0..size), places);
    let read = content.local(&(0..1), Place::Sent).await;
    assert_eq!(read.err(), Some(Errno::EBUSY));

    for at in [0, 2 * PART_BYTES - 1] {
        let refused = content.write(at, Bytes::from_static(b"xy")).await;
        assert_eq!(refused.err(), Some(Errno::ENOSPC), "{at}");
    }
    for size in [1, 2 * PART_BYTES - 1] {
        assert_eq!(content.truncate(size), Err(Errno::ENOSPC), "{size}");
    }
    content.truncate(PART_BYTES).unwrap();
    let whole = Version {
        etag: "whole".into(),
        size: PART_BYTES,
        modified: SystemTime::UNIX_EPOCH,
    };
    content.committed(whole);
    let places = [(0..PART_BYTES, Place::Base)];
    assert_eq!(content.pieces(0..PART_BYTES), places);
    assert!(!content.is_only_sent());
}

#[tokio::test]
async fn what_is_appended_to_an_object_is_never_in_an_upload_alone() {
    let memory = Budget::new(256 << 20);
    let old = Some(version_of(b""));
    let mut content = Content::new(old, Arc::new(Staging::new(None)), memory);
    let part = vec![7; usize::try_from(PART_BYTES).unwrap()];
    let refused = content.write(0, Bytes::copy_from_slice(&part)).await;
    assert_eq!(refused.err(), Some(Errno::ENOSPC));
}
