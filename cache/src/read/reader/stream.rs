//! What is fetched ahead for one open file.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::super::budget::{Budget, Holder, Reading, Registration};
use super::super::planner::{Planner, WINDOW_BYTES_MIN};
use super::super::{Object, cut, in_memory};
use super::prefetch::Prefetch;
use crate::object::ETag;
use crate::store::ObjectStore;

/// Largest request of read-ahead, in bytes: large enough for a source's full speed, small enough
/// that several are under way at once.
const PREFETCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest request is no smaller than this, in bytes, however little memory there is: below it,
/// requests cost more than they bring.
const PREFETCH_BYTES_MIN: usize = 1024 * 1024;

/// Read-ahead of one open file.
#[derive(Debug, Default)]
pub(super) struct Stream {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    planner: Planner,
    /// What `fetched` is of.
    version: Option<(ETag, u64)>,
    /// In order of their offsets; they do not overlap.
    fetched: VecDeque<Arc<Prefetch>>,
    /// Since it first wanted to read ahead.
    registration: Option<Registration>,
}

/// What there is for one read.
#[derive(Debug)]
pub(super) struct Ahead {
    /// What the range touches, in order of offsets.
    pub(super) fetched: Vec<Arc<Prefetch>>,
    /// Whoever reads is not idle.
    _reading: Option<Reading>,
}

impl Stream {
    /// Takes note of a read, starts to fetch what should be fetched now, and gives what the range
    /// touches.
    pub(super) fn plan(
        self: &Arc<Self>,
        store: &ObjectStore,
        budget: &Arc<Budget>,
        object: &Object,
        range: &Range<u64>,
    ) -> Ahead {
        let mut state = self.lock();
        state.be_of(object);
        // From here on its own memory is not taken for an idle stream's.
        let reading = state.registration.as_ref().map(Registration::reading);
        let fair = state.registration.as_ref().map(Registration::fair_share);
        let window_max = fair.map_or(WINDOW_BYTES_MIN, |bytes| bytes as u64);
        let plan = state.planner.on_read(range, object.size, window_max);
        if plan.reset {
            state.fetched.clear();
            state.registration = None;
        }
        while let Some(first) = state.fetched.front()
            && first.range.end <= plan.keep_from
        {
            state.fetched.pop_front();
        }
        if let Some(wanted) = plan.fetch {
            if state.registration.is_none() {
                state.registration = budget.register(Arc::<Self>::downgrade(self));
            }
            state.fetch(store, object, wanted);
        }
        let touched = |prefetch: &&Arc<Prefetch>| {
            prefetch.range.start < range.end && range.start < prefetch.range.end
        };
        let begun = || state.registration.as_ref().map(Registration::reading);
        Ahead {
            fetched: state.fetched.iter().filter(touched).cloned().collect(),
            _reading: reading.or_else(begun),
        }
    }

    /// Gives back the memory of what has been read.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        let next = state.planner.next();
        state
            .fetched
            .retain(|prefetch| prefetch.range.end > next || !prefetch.is_used_up());
    }

    /// What it has fetched ahead and not given back, in bytes.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.lock().buffered()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins anew unless it is of this version.
    fn be_of(&mut self, object: &Object) {
        let known = self.version.as_ref();
        if known.is_none_or(|(etag, size)| *etag != object.etag || *size != object.size) {
            *self = Self {
                version: Some((object.etag.clone(), object.size)),
                ..Self::default()
            };
        }
    }

    /// Starts to fetch as much of `wanted` as there is memory for. The rest is planned anew by the
    /// next read, and read directly if its turn comes before.
    fn fetch(&mut self, store: &ObjectStore, object: &Object, wanted: Range<u64>) {
        let Some(registration) = &self.registration else {
            self.planner.planned_to(wanted.start);
            return;
        };
        let fair = registration.fair_share();
        let mut buffered = self.buffered();
        // Two at least, so that one is on its way while another is read.
        let largest = (fair / 2).clamp(PREFETCH_BYTES_MIN, PREFETCH_BYTES_MAX);
        for range in cut(wanted, largest as u64) {
            let bytes = in_memory(range.end - range.start);
            // It is the first to ask for what it gives back: what it has beyond its share it would
            // have for ever, and others nothing.
            let may = buffered == 0 || buffered + bytes <= fair;
            let Some(memory) = may.then(|| registration.lease(bytes)).flatten() else {
                self.planner.planned_to(range.start);
                return;
            };
            buffered += bytes;
            self.fetched
                .push_back(Prefetch::start(store, object, range, memory));
        }
    }

    /// In bytes.
    fn buffered(&self) -> usize {
        self.fetched.iter().map(|prefetch| prefetch.bytes()).sum()
    }
}

impl Holder for Stream {
    fn keep(&self, bytes: usize) {
        // A stream that is locked is being read, and may be asking for memory by this very call.
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if bytes == 0 {
            *state = State::default();
            return;
        }
        let mut buffered = state.buffered();
        let mut end = None;
        // One it keeps, so that it is never without.
        while buffered > bytes
            && state.fetched.len() > 1
            && let Some(last) = state.fetched.pop_back()
        {
            buffered -= last.bytes();
            end = Some(last.range.start);
        }
        if let Some(end) = end {
            state.planner.planned_to(end);
        }
    }
}
