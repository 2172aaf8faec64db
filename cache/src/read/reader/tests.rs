//! What readers take of the budget and give back. Nothing answers here: memory is what is looked at.

use std::time::Duration;

use tokio::time::advance;

use super::super::BudgetUsage;
use super::*;
use crate::error::ErrorKind;
use crate::object::ETag;
use crate::options::ClientOptions;
use crate::origin::Origin;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const REQUEST: u64 = 128 * KIB;

/// What half of the default budget comes to.
const SHARE: usize = Budget::MOUNT_BYTES_DEFAULT / 2;

const WINDOW: usize = 32 << 20;

/// As long as a reader may pause, and a moment.
const PAUSE: Duration = Duration::from_millis(2_001);

/// A store at an address that may not be dialled: every request fails at once.
fn store() -> ObjectStore {
    let origin = Origin {
        endpoint: "http://127.0.0.1:1".parse().unwrap(),
        bucket: "bucket".to_owned(),
        prefix: String::new(),
        region: String::new(),
        keys: None,
        ca_pem: None,
        shards: None,
    };
    ObjectStore::new(vec![origin], ClientOptions::default()).unwrap()
}

fn object(etag: &str) -> Object {
    Object {
        key: "key".to_owned(),
        etag: ETag::from_wire(etag),
        size: 1024 * MIB,
    }
}

fn reader(budget: &Arc<Budget>) -> Reader {
    Reader::new(store(), Arc::clone(budget))
}

/// Reads in order, as a program would that does not mind errors.
async fn read_on(reader: &Reader, bytes: Range<u64>) {
    for start in bytes.step_by(128 * 1024) {
        let read = reader.read(&object("one"), start..start + REQUEST).await;
        let error = read.unwrap_err();
        let refused = matches!(error.kind(), ErrorKind::AddressNotAllowed { .. });
        assert!(refused, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_stream_has_a_full_window_and_gives_everything_back() {
    let budget = Budget::new(Budget::MOUNT_BYTES_DEFAULT);
    let reader = reader(&budget);
    read_on(&reader, 0..512 * KIB).await;
    assert_eq!(reader.stream.buffered(), 0, "it is no stream yet");
    read_on(&reader, 512 * KIB..128 * MIB).await;
    assert!(reader.stream.buffered() >= WINDOW / 2);
    assert_eq!(budget.usage().read_ahead, reader.stream.buffered());
    drop(reader);
    assert_eq!(
        budget.usage(),
        BudgetUsage::new(Budget::MOUNT_BYTES_DEFAULT)
    );
}

#[tokio::test(start_paused = true)]
async fn a_jump_and_another_version_give_back_what_was_fetched() {
    let budget = Budget::new(Budget::MOUNT_BYTES_DEFAULT);
    let reader = reader(&budget);
    read_on(&reader, 0..16 * MIB).await;
    assert!(reader.stream.buffered() > 0);
    read_on(&reader, 700 * MIB..700 * MIB + REQUEST).await;
    assert_eq!(reader.stream.buffered(), 0);
    read_on(&reader, 0..16 * MIB).await;
    assert!(reader.stream.buffered() > 0);
    let other = reader.read(&object("two"), 16 * MIB..17 * MIB).await;
    assert!(other.is_err());
    assert_eq!(reader.stream.buffered(), 0);
}

#[tokio::test(start_paused = true)]
async fn four_paused_readers_leave_their_memory_to_a_fifth() {
    let budget = Budget::new(Budget::MOUNT_BYTES_DEFAULT);
    let paused = [(); 4].map(|()| reader(&budget));
    for reader in &paused {
        read_on(reader, 0..64 * MIB).await;
    }
    let buffered = || {
        paused
            .iter()
            .map(|reader| reader.stream.buffered())
            .sum::<usize>()
    };
    assert!(buffered() > SHARE - WINDOW, "{}", buffered());
    advance(PAUSE).await;
    let fifth = reader(&budget);
    read_on(&fifth, 0..64 * MIB).await;
    assert!(
        fifth.stream.buffered() >= WINDOW / 2,
        "{}",
        fifth.stream.buffered()
    );
    // And one of the four that reads on begins anew.
    read_on(&paused[0], 64 * MIB..128 * MIB).await;
    assert!(paused[0].stream.buffered() >= WINDOW / 2);
    drop((paused, fifth));
    assert_eq!(
        budget.usage(),
        BudgetUsage::new(Budget::MOUNT_BYTES_DEFAULT)
    );
}

#[tokio::test(start_paused = true)]
async fn of_many_streams_none_is_starved_and_none_has_more_than_its_share() {
    const STREAMS: usize = 40;
    let budget = Budget::new(Budget::MOUNT_BYTES_DEFAULT);
    let readers = [(); STREAMS].map(|()| reader(&budget));
    // The first of them have time to take everything.
    for reader in &readers[..4] {
        read_on(reader, 0..64 * MIB).await;
    }
    let mut ahead = [0; STREAMS];
    let rounds = 64 * MIB..96 * MIB;
    for start in rounds.clone().step_by(128 * 1024) {
        for (reader, ahead) in readers.iter().zip(&mut ahead) {
            read_on(reader, start..start + REQUEST).await;
            *ahead += usize::from(reader.stream.buffered() > 0);
        }
        assert!(budget.usage().read_ahead <= SHARE);
    }
    let count = usize::try_from((rounds.end - rounds.start) / REQUEST).unwrap();
    assert!(ahead.iter().all(|ahead| *ahead > count / 2), "{ahead:?}");
    for reader in &readers {
        assert!(reader.stream.buffered() <= SHARE / STREAMS);
    }
}

#[tokio::test(start_paused = true)]
async fn without_memory_a_read_goes_to_the_store() {
    let budget = Budget::new(0);
    let reader = reader(&budget);
    read_on(&reader, 0..16 * MIB).await;
    assert_eq!(
        (reader.stream.buffered(), budget.usage()),
        (0, BudgetUsage::new(0))
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_lies_behind_the_end() {
    let reader = reader(&Budget::new(0));
    let end = object("one").size;
    for range in [end..end + 1, 5..5, u64::MAX - 1..u64::MAX] {
        let read = reader.read(&object("one"), range).await;
        assert!(read.unwrap().is_empty());
    }
}
