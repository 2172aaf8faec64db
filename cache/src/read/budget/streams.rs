//! Who reads ahead, and who of them was read lately.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::shares::Purpose;
use super::{Budget, Lease};

/// A stream whose reads stop for so long gives back when others ask: longer than a program thinks
/// between two batches, shorter than anybody who waits for memory.
pub(super) const IDLE_AFTER: Duration = Duration::from_secs(2);

/// Streams that read ahead at the same time. The default total is enough for 128 with a first
/// window each; the bound is there for what is kept of each, some hundred bytes.
pub(super) const STREAMS_MAX: usize = 1_024;

/// A stream, which holds what was fetched ahead.
pub(in crate::read) trait Holder: Debug + Send + Sync {
    /// Gives back what it has beyond `bytes`, the furthest ahead first. With 0 it gives back
    /// everything and begins anew. Nothing happens to a stream that is asking for memory itself.
    fn keep(&self, bytes: usize);
}

/// Every stream that reads ahead.
#[derive(Debug, Default)]
pub(super) struct Streams {
    known: HashMap<u64, Stream>,
    next_id: u64,
}

#[derive(Debug)]
struct Stream {
    holder: Weak<dyn Holder>,
    /// Reads of it that are under way.
    reads: u32,
    /// When the last one began or ended.
    read_at: Instant,
}

impl Stream {
    fn is_idle(&self, now: Instant) -> bool {
        self.reads == 0 && now.duration_since(self.read_at) >= IDLE_AFTER
    }
}

impl Streams {
    pub(super) fn has_room(&self) -> bool {
        self.known.len() < STREAMS_MAX
    }

    fn insert(&mut self, holder: Weak<dyn Holder>) -> Option<u64> {
        if !self.has_room() {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        let stream = Stream {
            holder,
            reads: 0,
            read_at: Instant::now(),
        };
        self.known.insert(id, stream);
        Some(id)
    }

    /// Notes that a read begins or ends.
    fn touch(&mut self, id: u64, reads: impl FnOnce(u32) -> u32) {
        // It may have been pruned meanwhile.
        if let Some(stream) = self.known.get_mut(&id) {
            stream.reads = reads(stream.reads);
            stream.read_at = Instant::now();
        }
    }

    /// How many are being read.
    pub(super) fn active(&self, now: Instant) -> usize {
        let streams = self.known.values();
        streams.filter(|stream| !stream.is_idle(now)).count()
    }

    /// Those that are not, longest unread first.
    pub(super) fn idle(&self, now: Instant) -> Vec<Arc<dyn Holder>> {
        self.holders(|stream| stream.is_idle(now))
    }

    /// All, longest unread first.
    pub(super) fn all(&self) -> Vec<Arc<dyn Holder>> {
        self.holders(|_| true)
    }

    fn holders(&self, wanted: impl Fn(&Stream) -> bool) -> Vec<Arc<dyn Holder>> {
        let mut streams: Vec<_> = self
            .known
            .values()
            .filter(|stream| wanted(stream))
            .collect();
        streams.sort_by_key(|stream| stream.read_at);
        streams
            .into_iter()
            .filter_map(|stream| stream.holder.upgrade())
            .collect()
    }

    /// When the next one may become idle. Always later than `now`: of those that are idle already
    /// there is nothing more to be had.
    pub(super) fn next_idle(&self, now: Instant) -> Option<Instant> {
        let idle_at = |stream: &Stream| match stream.reads {
            0 if !stream.is_idle(now) => stream.read_at + IDLE_AFTER,
            _ => now + IDLE_AFTER,
        };
        self.known.values().map(idle_at).min()
    }
}

/// A stream's place among those that read ahead, until this is dropped.
#[derive(Debug)]
pub(in crate::read) struct Registration {
    budget: Arc<Budget>,
    id: u64,
}

impl Registration {
    pub(super) fn new(budget: &Arc<Budget>, holder: Weak<dyn Holder>) -> Option<Self> {
        let id = budget.state().streams.insert(holder)?;
        Some(Self {
            budget: Arc::clone(budget),
            id,
        })
    }

    /// What a stream may hold now, in bytes.
    pub(in crate::read) fn fair_share(&self) -> usize {
        self.budget.state().fair_share()
    }

    /// Bytes to fetch ahead. `None` when there are none, even after others gave some back.
    pub(in crate::read) fn lease(&self, bytes: usize) -> Option<Lease> {
        self.budget.lease(Purpose::ReadAhead, bytes)
    }

    /// Keeps the stream from being taken for idle until the read has ended.
    pub(in crate::read) fn reading(&self) -> Reading {
        self.budget
            .state()
            .streams
            .touch(self.id, |reads| reads.saturating_add(1));
        Reading {
            budget: Arc::clone(&self.budget),
            id: self.id,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.budget.state().streams.known.remove(&self.id);
    }
}

/// A read of a stream, which ends when this is dropped.
#[derive(Debug)]
#[must_use = "the read ends when this is dropped"]
pub(in crate::read) struct Reading {
    budget: Arc<Budget>,
    id: u64,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.budget
            .state()
            .streams
            .touch(self.id, |reads| reads.saturating_sub(1));
    }
}
