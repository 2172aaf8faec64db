//! What the budget promises, one promise at a time.

mod properties;

use std::time::Duration;

use futures::FutureExt;
use tokio::time::advance;

use super::streams::{IDLE_AFTER, STREAMS_MAX};
use super::*;

const MOMENT: Duration = Duration::from_millis(1);

/// A moment less than a stream may pause.
const ALMOST_IDLE: Duration = IDLE_AFTER.saturating_sub(MOMENT);

/// A stream without a file.
#[derive(Debug, Default)]
struct Shelf {
    state: Mutex<ShelfState>,
}

#[derive(Debug, Default)]
struct ShelfState {
    leases: Vec<Lease>,
    registration: Option<Registration>,
}

impl Shelf {
    fn new(budget: &Arc<Budget>) -> Arc<Self> {
        let shelf = Arc::new(Self::default());
        shelf.register(budget);
        shelf
    }

    fn register(self: &Arc<Self>, budget: &Arc<Budget>) {
        let registration = budget.register(Arc::<Self>::downgrade(self));
        self.state.lock().unwrap().registration = registration;
    }

    /// Fetches so much ahead; whether there was memory.
    fn fetch(&self, bytes: usize) -> bool {
        let mut state = self.state.lock().unwrap();
        let registration = state.registration.as_ref();
        let lease = registration.and_then(|registration| registration.lease(bytes));
        let got = lease.is_some();
        state.leases.extend(lease);
        got
    }

    fn read(&self) -> Option<Reading> {
        let state = self.state.lock().unwrap();
        state.registration.as_ref().map(Registration::reading)
    }

    fn bytes(&self) -> usize {
        self.state
            .lock()
            .unwrap()
            .leases
            .iter()
            .map(Lease::bytes)
            .sum()
    }
}

impl Holder for Shelf {
    fn keep(&self, bytes: usize) {
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        while state.leases.iter().map(Lease::bytes).sum::<usize>() > bytes {
            state.leases.pop();
        }
        if bytes == 0 {
            state.registration = None;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_stream_gives_back_when_a_draft_needs_it_and_not_before() {
    let budget = Budget::new(800);
    let paused = Shelf::new(&budget);
    assert!(paused.fetch(400));
    advance(ALMOST_IDLE).await;
    assert!(budget.try_draft(201).is_none(), "it may be read on");
    advance(MOMENT).await;
    assert_eq!(paused.bytes(), 400, "nobody needs it");
    assert!(budget.try_draft(201).is_some());
    assert_eq!((paused.bytes(), budget.usage().read_ahead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn those_who_were_not_read_longest_give_back_first_and_no_more_than_is_needed() {
    let budget = Budget::new(800);
    let (newer, older) = (Shelf::new(&budget), Shelf::new(&budget));
    assert!(older.fetch(200) && newer.fetch(200));
    advance(MOMENT).await;
    drop(newer.read());
    advance(IDLE_AFTER).await;
    let third = Shelf::new(&budget);
    assert!(third.fetch(150));
    assert_eq!((older.bytes(), newer.bytes(), third.bytes()), (0, 200, 150));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_takes_long_is_no_pause() {
    let budget = Budget::new(800);
    let slow = Shelf::new(&budget);
    assert!(slow.fetch(400));
    let reading = slow.read();
    advance(IDLE_AFTER * 30).await;
    assert!(budget.try_draft(201).is_none());
    drop(reading);
    advance(ALMOST_IDLE).await;
    assert!(
        budget.try_draft(201).is_none(),
        "the pause began with its end"
    );
    advance(MOMENT).await;
    assert!(budget.try_draft(201).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_waits_has_an_idle_streams_memory_as_soon_as_it_is_idle() {
    let budget = Budget::new(800);
    let paused = Shelf::new(&budget);
    assert!(paused.fetch(400));
    let draft = budget.try_draft(200).unwrap();
    let first = budget.upload(200).await;
    let began = Instant::now();
    let second = budget.upload(200).await;
    // Time here moves only when everybody waits.
    assert_eq!(began.elapsed().as_secs(), IDLE_AFTER.as_secs());
    assert_eq!(paused.bytes(), 0);
    drop((draft, first, second));
}

#[tokio::test(start_paused = true)]
async fn a_reply_makes_idle_streams_give_back_only_where_there_is_not_enough() {
    let budget = Budget::new(800);
    let paused = Shelf::new(&budget);
    assert!(paused.fetch(400));
    advance(IDLE_AFTER).await;
    let within = budget.reply(400).await;
    assert_eq!(paused.bytes(), 400);
    let beyond = budget.reply(1).await;
    assert_eq!((paused.bytes(), budget.usage().replies), (0, 401));
    drop((within, beyond));
}

#[tokio::test(start_paused = true)]
async fn replies_always_have_an_eighth_and_wait_for_each_other_beyond_it() {
    let budget = Budget::new(800);
    let busy = Shelf::new(&budget);
    assert!(busy.fetch(400));
    let _reading = busy.read();
    let _written = (budget.try_draft(200).unwrap(), budget.upload(200).await);
    let first = budget.reply(60).await;
    let second = budget.reply(40).await;
    assert_eq!(budget.usage().in_use(), 900);
    let mut third = Box::pin(budget.reply(1));
    assert!(third.as_mut().now_or_never().is_none());
    drop(second);
    assert_eq!(third.await.bytes(), 1);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_is_counted_and_others_make_room() {
    let budget = Budget::new(800);
    let paused = Shelf::new(&budget);
    assert!(paused.fetch(400));
    advance(IDLE_AFTER).await;
    let arrived = budget.arrived(700);
    assert_eq!(paused.bytes(), 0);
    assert!(budget.try_draft(1).is_none());
    paused.register(&budget);
    assert!(!paused.fetch(1));
    drop(arrived);
    assert!(paused.fetch(400));
}

#[tokio::test(start_paused = true)]
async fn a_smaller_budget_takes_from_idle_streams_first_and_from_nobody_what_was_written() {
    let budget = Budget::new(800);
    let (busy, paused) = (Shelf::new(&budget), Shelf::new(&budget));
    assert!(busy.fetch(100) && paused.fetch(200));
    let (draft, upload) = (budget.try_draft(200).unwrap(), budget.upload(100).await);
    advance(IDLE_AFTER).await;
    let reading = busy.read();
    budget.resize(400);
    assert_eq!((busy.bytes(), paused.bytes()), (100, 0));
    budget.resize(100);
    assert_eq!(budget.usage().in_use(), 400, "they are read, or written");
    assert!(budget.try_draft(1).is_none());
    assert_eq!((draft.bytes(), upload.bytes()), (200, 100));
    drop((draft, upload, reading));
    assert!(budget.usage().in_use() <= 100);
}

#[tokio::test(start_paused = true)]
async fn who_waits_has_what_a_larger_budget_brings() {
    let budget = Budget::new(800);
    let filling = budget.upload(700).await;
    let mut waiting = Box::pin(budget.upload(100));
    assert!(waiting.as_mut().now_or_never().is_none());
    budget.resize(1600);
    assert_eq!(waiting.await.bytes(), 100);
    drop(filling);
}

#[tokio::test(start_paused = true)]
async fn streams_that_have_more_than_their_share_leave_it_to_a_new_one() {
    const STREAM: usize = 32 << 20;
    let budget = Budget::new(8 * STREAM);
    let busy: Vec<_> = (0..4).map(|_| Shelf::new(&budget)).collect();
    for shelf in &busy {
        for _ in 0..8 {
            assert!(shelf.fetch(STREAM / 8));
        }
    }
    let fifth = Shelf::new(&budget);
    let fair = 4 * STREAM / 5;
    for _ in 0..6 {
        assert!(fifth.fetch(STREAM / 8));
    }
    let bytes: Vec<_> = busy.iter().map(|shelf| shelf.bytes()).collect();
    assert!(
        bytes.iter().all(|bytes| *bytes >= fair - STREAM / 8),
        "{bytes:?}"
    );
    assert!(budget.usage().read_ahead <= 4 * STREAM);
}

#[tokio::test(start_paused = true)]
async fn uploads_go_in_the_order_they_came() {
    let budget = Budget::new(800);
    let mut filling = vec![budget.upload(200).await, budget.upload(200).await];
    filling.push(budget.upload(200).await);
    filling.push(budget.upload(100).await);
    let mut large = Box::pin(budget.upload(200));
    assert!(large.as_mut().now_or_never().is_none());
    let mut small = Box::pin(budget.upload(1));
    drop(filling[0].split(50).unwrap());
    assert!(
        small.as_mut().now_or_never().is_none(),
        "there is enough for it, but another came first"
    );
    drop(filling);
    assert_eq!(large.await.bytes(), 200);
    assert_eq!(small.await.bytes(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_gives_up_gives_its_turn_to_the_next() {
    let budget = Budget::new(800);
    let mut full = budget.try_draft(500).unwrap().into_upload();
    full.merge(budget.upload(200).await);
    let mut first = Box::pin(budget.upload(100));
    let mut second = Box::pin(budget.upload(100));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(full);
    drop(first);
    assert_eq!(second.await.bytes(), 100);
}

#[tokio::test]
async fn a_part_larger_than_all_there_is_goes_alone_and_is_counted() {
    let budget = Budget::new(800);
    let small = budget.upload(1).await;
    let mut large = Box::pin(budget.upload(1_000));
    assert!(large.as_mut().now_or_never().is_none());
    drop(small);
    assert_eq!(large.await.bytes(), 1_000);
    assert_eq!(Budget::new(0).upload(1).await.bytes(), 1);
}

#[tokio::test]
async fn what_is_covered_is_given_back_with_the_last_clone_of_the_bytes() {
    let budget = Budget::new(800);
    let lease = budget.reply(5).await;
    let bytes = lease.cover(bytes::Bytes::from_static(b"hello"));
    let part = bytes.slice(1..3);
    assert_eq!((&bytes[..], &part[..]), (&b"hello"[..], &b"el"[..]));
    drop(bytes);
    assert_eq!(budget.usage().replies, 5);
    drop(part);
    assert_eq!(budget.usage().replies, 0);
}

#[tokio::test]
#[should_panic(expected = "leases of one budget")]
async fn leases_of_two_budgets_are_not_merged() {
    let (one, other) = (Budget::new(800), Budget::new(800));
    let mut lease = one.arrived(1);
    lease.merge(other.arrived(1));
}

#[tokio::test(start_paused = true)]
async fn there_are_only_so_many_streams_and_idle_ones_make_room() {
    let budget = Budget::new(800);
    let shelves: Vec<_> = (0..STREAMS_MAX).map(|_| Shelf::new(&budget)).collect();
    let more = Shelf::new(&budget);
    assert!(!more.fetch(0));
    advance(IDLE_AFTER).await;
    more.register(&budget);
    assert!(more.fetch(0));
    drop(shelves);
}

#[test]
fn who_hands_over_waits_until_what_came_before_is_taken_and_not_for_ever() {
    let budget = Budget::new(800);
    let first = budget.arrived(100);
    let short = Duration::from_millis(1);
    let began = std::time::Instant::now();
    budget.await_arrival(1, short);
    assert!(began.elapsed() >= short, "nobody took it");
    let taken = std::thread::spawn(move || drop(first));
    budget.await_arrival(100, Duration::MAX);
    taken.join().unwrap();
    assert_eq!(budget.usage().arrived, 0);
    // One that is larger than the eighth comes alone.
    budget.await_arrival(200, Duration::MAX);
}
