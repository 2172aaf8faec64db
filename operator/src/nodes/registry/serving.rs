//! Whether bytes come through a dataset's cache where they should.

use super::usage::Counters;

/// Reads that went past a cache without a byte through it, after which it is said not to serve.
const FAILURES: u64 = 3;
/// Milliseconds that they take at least: a mount lets a cache that does not answer rest for 5 s, and the
/// nodes' proxies know of a new pod seconds after it is ready.
const LASTS_MS: u64 = 20_000;
/// Milliseconds without such a read after which those before count no more.
const QUIET_MS: u64 = 60_000;
/// Milliseconds after the last such read for which a fault is believed: a quiet cache is no broken one.
const BELIEVED_MS: u64 = 600_000;

/// Reads that a cache was to answer and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotServing {
    /// How many, since the last byte came through it.
    pub reads: u64,
    /// Milliseconds since 1970, by the operator's clock: when the first was reported.
    pub since_ms: u64,
}

/// What nodes said of one cache.
#[derive(Debug, Default)]
pub(super) struct Serving {
    past_it: Option<NotServing>,
    last_ms: u64,
    stands: bool,
}

impl Serving {
    /// Takes over what was read since the last report; true when another thing is to be said of the cache.
    pub(super) fn take(&mut self, done: Counters, now_ms: u64) -> bool {
        if done.cached_bytes_read > 0 {
            let stood = self.stands;
            *self = Self::default();
            return stood;
        }
        if done.cache_failures == 0 {
            return false;
        }
        let quiet = now_ms.saturating_sub(self.last_ms);
        if quiet > if self.stands { BELIEVED_MS } else { QUIET_MS } {
            *self = Self::default();
        }
        let past_it = self.past_it.get_or_insert(NotServing {
            reads: 0,
            since_ms: now_ms,
        });
        past_it.reads = past_it.reads.saturating_add(done.cache_failures);
        self.last_ms = now_ms;
        let lasts = now_ms.saturating_sub(past_it.since_ms) >= LASTS_MS;
        let stood = self.stands;
        self.stands |= lasts && past_it.reads >= FAILURES;
        stood != self.stands
    }

    /// What is to be said of the cache now.
    pub(super) fn fault(&self, now_ms: u64) -> Option<NotServing> {
        let believed = self.stands && now_ms.saturating_sub(self.last_ms) <= BELIEVED_MS;
        self.past_it.filter(|_| believed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_000_000;

    fn read(cached_bytes_read: u64, cache_failures: u64) -> Counters {
        Counters {
            cached_bytes_read,
            cache_failures,
            ..Counters::default()
        }
    }

    #[test]
    fn a_cache_past_which_reads_go_does_not_serve_until_bytes_come_through_it() {
        let mut serving = Serving::default();
        assert!(!serving.take(read(0, 9), NOW_MS));
        assert_eq!(serving.fault(NOW_MS), None, "it may be about to come");
        assert!(serving.take(read(0, 1), NOW_MS + LASTS_MS));
        let fault = NotServing {
            reads: 10,
            since_ms: NOW_MS,
        };
        assert_eq!(serving.fault(NOW_MS + LASTS_MS), Some(fault));
        assert!(
            !serving.take(read(0, 5), NOW_MS + LASTS_MS),
            "it is said already"
        );
        assert!(serving.take(read(1, 9), NOW_MS + LASTS_MS));
        assert_eq!(serving.fault(NOW_MS + LASTS_MS), None);
    }

    #[test]
    fn failures_now_and_then_are_none_and_a_quiet_cache_is_not_broken() {
        let mut serving = Serving::default();
        for minute in 0..10 {
            let at = NOW_MS + minute * (QUIET_MS + 1);
            assert!(!serving.take(read(0, 2), at));
        }
        let mut serving = Serving::default();
        assert!(!serving.take(read(0, 1), NOW_MS));
        assert!(!serving.take(read(0, 1), NOW_MS + LASTS_MS), "two are few");
        assert!(serving.take(read(0, 1), NOW_MS + LASTS_MS));
        let last = NOW_MS + LASTS_MS;
        assert!(serving.fault(last + BELIEVED_MS).is_some());
        assert_eq!(serving.fault(last + BELIEVED_MS + 1), None);
    }
}
