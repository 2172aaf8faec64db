//! Memory of one mount or server: one limiter for everything that reads and writes.
//!
//! `shares` says who may have how much, `streams` who reads ahead and how lately, `lease` is what
//! somebody has, `queue` where one waits. Nothing that can wait holds any memory. Uploads wait for
//! uploads alone and replies for replies: those end by themselves.

mod lease;
mod queue;
mod shares;
mod streams;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

pub use self::lease::Lease;
use self::queue::Queue;
pub use self::shares::BudgetUsage;
use self::shares::Purpose;
use self::streams::Streams;
pub(super) use self::streams::{Holder, Reading, Registration};

/// Memory of one mount or server, in bytes.
///
/// It is shared by read-ahead, by what is being written and by replies:
/// - Read-ahead has at most half, less what replies have. A reader that pauses for two seconds loses
///   its own as soon as somebody else asks.
/// - Drafts and uploads have half, and what reading leaves of the other but for an eighth. A quarter
///   of all is for uploads alone, so that one goes ahead whatever drafts hold.
/// - Replies are never refused. They always have an eighth, and wait for each other beyond it where
///   there is no room.
/// - What the kernel hands over to be written is there already. It is counted, others make room, and
///   who takes it over from the kernel waits a moment while an eighth has come.
///
/// So no more is in use than the total and a quarter of it; beyond that are one part that is larger
/// than the quarter, and what the kernel hands over while writes wait for a source.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
    /// Something that had arrived was taken.
    taken: Condvar,
    uploads: Queue,
    replies: Queue,
}

#[derive(Debug)]
struct State {
    usage: BudgetUsage,
    streams: Streams,
}

impl Budget {
    /// A mount's total where nobody tells another, in bytes: four streams at full window, and eight
    /// files with two parts each on their way.
    pub const MOUNT_BYTES_DEFAULT: usize = 256 * 1024 * 1024;

    /// The least that a mount gets along with, in bytes: a part of 8 MiB that is written, and two MiB
    /// of replies beside it. Streams read ahead by single MiB.
    pub const MOUNT_BYTES_MIN: usize = 16 * 1024 * 1024;

    /// A budget of so many bytes.
    #[must_use]
    pub fn new(total_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                usage: BudgetUsage::new(total_bytes),
                streams: Streams::default(),
            }),
            taken: Condvar::new(),
            uploads: Queue::default(),
            replies: Queue::default(),
        })
    }

    /// There are so many bytes from now on.
    ///
    /// Nobody loses what is in use: where it is more, idle streams give back first, and then those
    /// that have more than their share. What was written and what is on its way is waited for.
    pub fn resize(&self, total_bytes: usize) {
        self.state().usage.total = total_bytes;
        let is_within = || self.state().usage.is_within();
        if !is_within() && !self.reclaim_idle(is_within) {
            self.reclaim_excess(is_within);
        }
        self.freed();
    }

    /// Bytes for what is being written. `None` when there are none now; it never waits.
    #[must_use]
    pub fn try_draft(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        self.lease(Purpose::Draft, bytes)
    }

    /// Bytes for a part on its way to the store. Waits its turn, first come first served, and only
    /// for other uploads.
    ///
    /// Whoever has one sends it and does not wait for another before. A part for which there will
    /// never be enough goes when no other is under way. Cancelling loses nothing but the turn.
    pub async fn upload(self: &Arc<Self>, bytes: usize) -> Lease {
        self.wait(&self.uploads, Purpose::Upload, bytes).await
    }

    /// Bytes of a reply that is being put together. Waits its turn, and only for other replies.
    ///
    /// Whoever has one does not wait for another before it has given this back.
    pub async fn reply(self: &Arc<Self>, bytes: usize) -> Lease {
        self.wait(&self.replies, Purpose::Reply, bytes).await
    }

    /// Blocks the thread until an eighth of the total has room for so many bytes that the kernel hands
    /// over, or nobody has taken what came before for `timeout`.
    pub fn await_arrival(&self, bytes: usize, timeout: Duration) {
        let is_full = |state: &mut State| {
            let usage = &state.usage;
            usage.arrived > 0 && usage.arrived + bytes > usage.total / shares::ARRIVED_DIVISOR
        };
        let waited = self
            .taken
            .wait_timeout_while(self.state(), timeout, is_full);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Bytes that the kernel has handed over and nobody has taken yet: they are there, and others
    /// make room for them.
    pub fn arrived(self: &Arc<Self>, bytes: usize) -> Lease {
        let lease = Lease::take(self, &mut self.state().usage, Purpose::Arrived, bytes);
        let is_within = || self.state().usage.is_within();
        if !is_within() {
            self.reclaim_idle(is_within);
        }
        lease
    }

    /// Who has how much now.
    #[must_use]
    pub fn usage(&self) -> BudgetUsage {
        self.state().usage
    }

    /// Makes a stream known that is about to read ahead; `None` if there are too many.
    pub(super) fn register(self: &Arc<Self>, stream: Weak<dyn Holder>) -> Option<Registration> {
        let has_room = || self.state().streams.has_room();
        if !has_room() && !self.reclaim_idle(has_room) {
            return None;
        }
        Registration::new(self, stream)
    }

    async fn wait(self: &Arc<Self>, queue: &Queue, purpose: Purpose, bytes: usize) -> Lease {
        let take = || self.lease(purpose, bytes);
        // Nobody tells when a stream becomes idle.
        let next_idle = || self.state().streams.next_idle(Instant::now());
        queue.wait(take, next_idle).await
    }

    /// Memory came back, or there is more: those who wait look again.
    fn freed(&self) {
        self.uploads.look_again();
        self.replies.look_again();
    }

    /// Takes memory, after others gave some back if need be.
    fn lease(self: &Arc<Self>, purpose: Purpose, bytes: usize) -> Option<Lease> {
        let take = || {
            let mut state = self.state();
            let fits = state.usage.admits(purpose, bytes);
            fits.then(|| Lease::take(self, &mut state.usage, purpose, bytes))
        };
        let has_room = || self.state().usage.admits(purpose, bytes);
        take().or_else(|| {
            let reclaimed = self.reclaim_idle(has_room)
                || (purpose == Purpose::ReadAhead && self.reclaim_excess(has_room));
            // Somebody else may have been quicker.
            reclaimed.then(take)?
        })
    }

    /// Takes from streams that nobody reads, until there is `enough`; whether there is.
    fn reclaim_idle(&self, enough: impl Fn() -> bool) -> bool {
        let idle = self.state().streams.idle(Instant::now());
        // Outside of the lock: what they let go of comes back through it.
        idle.iter().any(|stream| {
            stream.keep(0);
            enough()
        })
    }

    /// Takes from streams what they have beyond a fair share, until there is `enough`; whether
    /// there is.
    fn reclaim_excess(&self, enough: impl Fn() -> bool) -> bool {
        let (fair, streams) = {
            let state = self.state();
            (state.fair_share(), state.streams.all())
        };
        streams.iter().any(|stream| {
            stream.keep(fair);
            enough()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What each stream that is being read may have for its read-ahead, in bytes.
    fn fair_share(&self) -> usize {
        let active = self.streams.active(Instant::now());
        (self.usage.read_ahead_share() / active.max(1)).max(shares::STREAM_BYTES_MIN)
    }
}

#[cfg(test)]
mod tests;
