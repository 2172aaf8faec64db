//! Accounting: every request and every byte, counted where it happens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a store has done since it was made; all clones count together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSnapshot {
    /// Bytes of object data received.
    pub bytes_read: u64,
    /// Of those, bytes that a cache sent.
    pub cached_bytes_read: u64,
    /// Reads that a cache was to answer, and the source had to.
    pub cache_failures: u64,
    /// Bytes of object data sent, repeated sends included.
    pub bytes_written: u64,
    /// Requests put on the wire, retries included.
    pub requests: u64,
    /// Requests put on the wire again after a failure that may pass.
    pub retries: u64,
    /// Operations that failed in the end; "no such object" is an answer and not counted.
    pub errors: u64,
    /// Time spent waiting for the store, summed over requests that ran at the same time.
    pub waited: Duration,
}

/// The counters behind [`UsageSnapshot`].
#[derive(Debug, Default)]
pub(crate) struct Usage {
    bytes_read: AtomicU64,
    cached_bytes_read: AtomicU64,
    cache_failures: AtomicU64,
    bytes_written: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
    errors: AtomicU64,
    waited_micros: AtomicU64,
}

impl Usage {
    pub(crate) fn read(&self, bytes: u64, of_cache: bool) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        if of_cache {
            self.cached_bytes_read.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn cache_failed(&self) {
        self.cache_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn written(&self, bytes: u64) {
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn waited(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.waited_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The counters as they stand; each is exact, together they may be a request apart.
    pub(crate) fn snapshot(&self) -> UsageSnapshot {
        UsageSnapshot {
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            cached_bytes_read: self.cached_bytes_read.load(Ordering::Relaxed),
            cache_failures: self.cache_failures.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            waited: Duration::from_micros(self.waited_micros.load(Ordering::Relaxed)),
        }
    }
}
