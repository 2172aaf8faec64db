//! What the budget promises, whatever is done to it.

use std::future::Future;
use std::pin::Pin;

use proptest::prelude::*;
use tokio::task::unconstrained;

use super::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Draft(usize),
    Reply(usize),
    Upload(usize),
    /// A stream fetches ahead.
    Fetch(usize, usize),
    /// A stream is read, and registers if it had to give back.
    Read(usize),
    Drop(usize),
    Split(usize, usize),
    Merge(usize, usize),
    Sent(usize),
    Cancel(usize),
    Arrive(usize),
    Wait(u64),
}

const TOTAL: usize = 800;
const STREAMS: usize = 3;

fn events() -> impl Strategy<Value = Event> {
    let which = 0..64_usize;
    prop_oneof![
        3 => (0..300_usize).prop_map(Event::Draft),
        2 => (0..100_usize).prop_map(Event::Reply),
        3 => (0..300_usize).prop_map(Event::Upload),
        3 => (0..STREAMS, 0..200_usize).prop_map(|(which, bytes)| Event::Fetch(which, bytes)),
        1 => (0..STREAMS).prop_map(Event::Read),
        3 => which.clone().prop_map(Event::Drop),
        1 => (which.clone(), 0..300_usize).prop_map(|(which, bytes)| Event::Split(which, bytes)),
        1 => (which.clone(), which.clone()).prop_map(|(one, other)| Event::Merge(one, other)),
        1 => which.clone().prop_map(Event::Sent),
        1 => which.prop_map(Event::Cancel),
        1 => (0..100_usize).prop_map(Event::Arrive),
        1 => (0..3_000_u64).prop_map(Event::Wait),
    ]
}

type Waiting<'a> = Pin<Box<dyn Future<Output = Lease> + 'a>>;

/// Everybody who has something of a budget, and who waits.
struct World<'a> {
    budget: &'a Arc<Budget>,
    leases: Vec<Lease>,
    waiting: Vec<Waiting<'a>>,
    shelves: Vec<Arc<Shelf>>,
}

impl<'a> World<'a> {
    fn new(budget: &'a Arc<Budget>) -> Self {
        Self {
            budget,
            leases: Vec::new(),
            waiting: Vec::new(),
            shelves: (0..STREAMS).map(|_| Shelf::new(budget)).collect(),
        }
    }

    /// Lets the uploads and replies that can go ahead do so.
    fn run(&mut self) {
        let mut still = Vec::new();
        for mut asking in std::mem::take(&mut self.waiting) {
            // All of this is one poll of the runtime's, and would use up what one may do.
            match unconstrained(asking.as_mut()).now_or_never() {
                Some(lease) => self.leases.push(lease),
                None => still.push(asking),
            }
        }
        self.waiting = still;
    }

    async fn happens(&mut self, event: Event) -> Result<(), TestCaseError> {
        let before = self.budget.usage();
        let at = |which: usize| (!self.leases.is_empty()).then(|| which % self.leases.len());
        match event {
            Event::Draft(bytes) => {
                let drafts = before.drafts + bytes;
                let written = drafts + before.uploads.max(before.upload_reserve());
                let reading = before.read_ahead + before.replies + before.arrived;
                let lease = self.budget.try_draft(bytes);
                if reading <= TOTAL / 2 && written <= TOTAL / 2 {
                    prop_assert!(lease.is_some(), "writing has its half: {before:?}");
                }
                if lease.is_some() {
                    self.within()?;
                }
                self.leases.extend(lease);
            }
            Event::Reply(bytes) => self.waiting.push(Box::pin(self.budget.reply(bytes))),
            Event::Arrive(bytes) => self.leases.push(self.budget.arrived(bytes)),
            Event::Upload(bytes) => self.waiting.push(Box::pin(self.budget.upload(bytes))),
            Event::Fetch(which, bytes) => {
                if self.shelves[which].fetch(bytes) {
                    self.within()?;
                    let usage = self.budget.usage();
                    prop_assert!(usage.read_ahead + usage.replies <= TOTAL / 2, "{usage:?}");
                }
            }
            Event::Read(which) => {
                if self.shelves[which].read().is_none() {
                    self.shelves[which].register(self.budget);
                }
            }
            Event::Drop(which) => {
                if let Some(at) = at(which) {
                    drop(self.leases.swap_remove(at));
                }
            }
            Event::Split(which, bytes) => {
                if let Some(at) = at(which) {
                    let had = self.leases[at].bytes();
                    let part = self.leases[at].split(bytes);
                    prop_assert_eq!(part.is_some(), bytes <= had);
                    self.leases.extend(part);
                }
            }
            Event::Merge(one, other) => {
                if let (Some(one), Some(other)) = (at(one), at(other))
                    && one != other
                    && self.leases[one].purpose() == self.leases[other].purpose()
                {
                    let (one, other) = (one.min(other), one.max(other));
                    let taken = self.leases.swap_remove(other);
                    self.leases[one].merge(taken);
                }
            }
            Event::Sent(which) => {
                if let Some(at) = at(which) {
                    let draft = self.leases.swap_remove(at);
                    self.leases.push(draft.into_upload());
                }
            }
            Event::Cancel(which) => {
                if !self.waiting.is_empty() {
                    let at = which % self.waiting.len();
                    drop(self.waiting.remove(at));
                }
            }
            Event::Wait(ms) => advance(Duration::from_millis(ms)).await,
        }
        self.run();
        self.check()
    }

    /// What was just handed out did not take more than there is.
    fn within(&self) -> Result<(), TestCaseError> {
        let usage = self.budget.usage();
        prop_assert!(usage.is_within(), "{usage:?}");
        Ok(())
    }

    /// What holds at any time.
    fn check(&self) -> Result<(), TestCaseError> {
        let usage = self.budget.usage();
        let of = |purpose| {
            let leases = self
                .leases
                .iter()
                .filter(|lease| lease.purpose() == purpose);
            leases.map(Lease::bytes).sum::<usize>()
        };
        let counted = BudgetUsage {
            total: TOTAL,
            read_ahead: self.shelves.iter().map(|shelf| shelf.bytes()).sum(),
            drafts: of(Purpose::Draft),
            uploads: of(Purpose::Upload),
            replies: of(Purpose::Reply),
            arrived: of(Purpose::Arrived),
        };
        prop_assert_eq!(usage, counted);
        prop_assert!(usage.read_ahead <= TOTAL / 2, "{:?}", usage);
        let over = usage.uploads.saturating_sub(usage.upload_reserve()) + usage.arrived;
        prop_assert!(usage.in_use() <= TOTAL + TOTAL / 8 + over, "{:?}", usage);
        prop_assert!(
            self.waiting.is_empty() || usage.uploads > 0 || usage.replies > 0,
            "uploads wait for uploads only, replies for replies: {:?}",
            usage
        );
        Ok(())
    }
}

proptest! {
    /// Whoever asks for what in whichever order: no more is handed out than there is, uploads go on
    /// as long as uploads end, and everything comes back.
    #[test]
    fn nothing_is_handed_out_twice_and_uploads_always_go_on(
        events in prop::collection::vec(events(), 1..60),
    ) {
        let mut outcome = Ok(());
        with_time(async {
            let budget = Budget::new(TOTAL);
            outcome = live(&budget, events).await;
        });
        outcome?;
    }
}

fn with_time(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test);
}

async fn live(budget: &Arc<Budget>, events: Vec<Event>) -> Result<(), TestCaseError> {
    let mut world = World::new(budget);
    for event in events {
        world.happens(event).await?;
    }
    // Readers and drafts keep what they have; uploads and replies end.
    while !world.waiting.is_empty() {
        let left = world.waiting.len();
        let ends = |lease: &Lease| matches!(lease.purpose(), Purpose::Upload | Purpose::Reply);
        world.leases.retain(|lease| !ends(lease));
        world.run();
        prop_assert!(world.waiting.len() < left, "{:?}", budget.usage());
    }
    drop(world);
    prop_assert_eq!(budget.usage(), BudgetUsage::new(TOTAL));
    Ok(())
}
