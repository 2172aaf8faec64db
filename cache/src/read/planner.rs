//! When to read ahead, and how far: pure, so that it can be tested without a file.
//!
//! A 256 KiB `pread` reaches us as two adjacent requests of 128 KiB. Taking the second for the
//! start of a stream makes random reads fetch megabytes for nothing (measured: 27 ms for 1.9 ms),
//! so a stream has to prove itself first, and read-ahead then grows while it goes on.

use std::ops::Range;

/// A stream is believed after this many adjacent requests …
const PROOF_REQUESTS: u32 = 4;

/// … that together cover more than this. A `pread` of half a MiB is no stream.
const PROOF_BYTES: u64 = 512 * 1024;

/// First window of a proven stream: about one round trip's worth at 300 MB/s.
pub(super) const WINDOW_BYTES_MIN: u64 = 1024 * 1024;

/// Largest window: hides the latency of a source 100 ms away at 320 MB/s, and is fetched as four to
/// eight requests at once, since some servers give each connection a share of their speed.
pub(super) const WINDOW_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Requests of one stream can overtake each other between the kernel's queue and our tasks.
/// By so many requests is no jump: the kernel has a few under way …
const DISORDER_REQUESTS: u64 = 4;

/// … and by so many bytes neither, however small they are.
const DISORDER_BYTES_MIN: u64 = 512 * 1024;

/// What to do about one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Nothing before this offset will be wanted soon.
    pub keep_from: u64,
    /// Start to fetch this now; it lies beyond everything planned before.
    pub fetch: Option<Range<u64>>,
    /// The stream broke off: what was fetched ahead is of no use.
    pub reset: bool,
}

/// Watches the reads of one open file.
#[derive(Clone, Debug, Default)]
pub(super) struct Planner {
    /// End of the furthest read of this run.
    next: u64,
    requests: u32,
    /// Bytes of this run, without repetitions.
    bytes: u64,
    /// 0 until the run is proven.
    window: u64,
    /// End of what has been planned to be fetched.
    planned: u64,
    /// When `next` passes this, the window grows.
    grow_at: u64,
    /// Length of the largest request of this run.
    largest: u64,
}

impl Planner {
    /// Takes note of a read of `range`, not empty and within a file of `size` bytes.
    ///
    /// `window_max` is what there is memory for, in bytes. The window follows it down as well as
    /// up, within [`WINDOW_BYTES_MIN`] and [`WINDOW_BYTES_MAX`].
    pub(super) fn on_read(&mut self, range: &Range<u64>, size: u64, window_max: u64) -> Plan {
        self.largest = self.largest.max(range.end - range.start);
        let reset = !self.continues(range);
        if reset {
            *self = Self {
                next: range.start,
                largest: range.end - range.start,
                ..Self::default()
            };
        }
        self.requests = self.requests.saturating_add(1);
        if range.end > self.next {
            self.bytes += range.end - range.start.max(self.next);
            self.next = range.end;
        }
        self.adapt_window(window_max.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX));
        Plan {
            keep_from: self.next.saturating_sub(self.disorder()),
            fetch: self.fetch(size),
            reset,
        }
    }

    /// Nothing beyond `end` is being fetched, whatever was planned: the next read plans it anew.
    pub(super) fn planned_to(&mut self, end: u64) {
        self.planned = self.planned.min(end);
    }

    /// End of the furthest read of this run.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    fn continues(&self, range: &Range<u64>) -> bool {
        range.start <= self.next.saturating_add(self.disorder())
            && range.end.saturating_add(self.disorder()) >= self.next
    }

    fn disorder(&self) -> u64 {
        DISORDER_BYTES_MIN.max(DISORDER_REQUESTS * self.largest)
    }

    fn adapt_window(&mut self, window_max: u64) {
        if self.window == 0 {
            if self.requests >= PROOF_REQUESTS && self.bytes > PROOF_BYTES {
                self.window = WINDOW_BYTES_MIN;
                self.planned = self.next;
                self.grow_at = self.next + self.window;
            }
        } else if self.next >= self.grow_at && self.window < window_max {
            self.window = (self.window * 2).min(window_max);
            self.grow_at = self.next + self.window;
        }
        self.window = self.window.min(window_max);
    }

    /// Plans the next piece once half the window is free, so that requests stay large.
    fn fetch(&mut self, size: u64) -> Option<Range<u64>> {
        let start = self.planned.max(self.next);
        let end = (self.next + self.window).min(size);
        let worthwhile = end.saturating_sub(start) >= self.window / 2 || end == size;
        if self.window == 0 || start >= end || !worthwhile {
            return None;
        }
        self.planned = end;
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    const REQUEST: u64 = 128 * KIB;

    fn read(planner: &mut Planner, start: u64, size: u64) -> Plan {
        let range = start..(start + REQUEST).min(size);
        planner.on_read(&range, size, WINDOW_BYTES_MAX)
    }

    #[test]
    fn a_256_kib_pread_is_no_stream() {
        let mut planner = Planner::default();
        for start in [700 * MIB, 3 * MIB, 90 * MIB, 512 * MIB, 0] {
            for half in [start, start + REQUEST] {
                assert_eq!(read(&mut planner, half, 1024 * MIB).fetch, None);
            }
        }
    }

    #[test]
    fn a_proven_stream_is_fetched_ahead_in_growing_pieces_up_to_the_end() {
        let (mut planner, size) = (Planner::default(), 100 * MIB);
        let mut fetched = Vec::new();
        for start in (0..size).step_by(128 * 1024) {
            fetched.extend(read(&mut planner, start, size).fetch);
        }
        assert!(fetched[0].start <= MIB, "starts early: {:?}", fetched[0]);
        assert_eq!(fetched[0].end - fetched[0].start, WINDOW_BYTES_MIN);
        for pair in fetched.windows(2) {
            assert_eq!(pair[0].end, pair[1].start, "no hole and no overlap");
        }
        assert_eq!(fetched.last().unwrap().end, size);
        let largest = fetched.iter().map(|piece| piece.end - piece.start).max();
        assert!(largest >= Some(WINDOW_BYTES_MAX / 2));
    }

    #[test]
    fn requests_that_overtake_each_other_are_still_one_stream() {
        let (mut planner, size) = (Planner::default(), 64 * MIB);
        let mut fetched = 0;
        for pair in (0..size).step_by(256 * 1024) {
            for start in [pair + REQUEST, pair] {
                let plan = read(&mut planner, start, size);
                assert!(!plan.reset, "at {start}");
                fetched += plan.fetch.map_or(0, |piece| piece.end - piece.start);
            }
        }
        assert!(fetched > size - 2 * MIB);
    }

    #[test]
    fn large_requests_that_overtake_each_other_are_still_one_stream() {
        let (mut planner, size) = (Planner::default(), 64 * MIB);
        let mut fetched = 0;
        for group in (0..size).step_by(4 * 1024 * 1024) {
            for n in [2, 0, 3, 1] {
                let start = group + n * MIB;
                let plan = planner.on_read(&(start..start + MIB), size, WINDOW_BYTES_MAX);
                assert!(!plan.reset, "at {start}");
                fetched += plan.fetch.map_or(0, |piece| piece.end - piece.start);
            }
        }
        assert!(fetched > size - 8 * MIB);
    }

    #[test]
    fn a_jump_ends_the_stream() {
        let (mut planner, size) = (Planner::default(), 1024 * MIB);
        for start in (0..8 * MIB).step_by(128 * 1024) {
            read(&mut planner, start, size);
        }
        let plan = read(&mut planner, 500 * MIB, size);
        assert!(plan.reset);
        assert_eq!(plan.fetch, None);
    }

    #[test]
    fn a_window_follows_the_memory_there_is_down_and_up() {
        let (mut planner, size) = (Planner::default(), 1024 * MIB);
        let mut ahead = |from: u64, window_max| {
            let mut furthest = 0;
            for start in (from..from + 96 * MIB).step_by(128 * 1024) {
                let plan = planner.on_read(&(start..start + REQUEST), size, window_max);
                let next = start + REQUEST;
                furthest = furthest.max(plan.fetch.map_or(0, |piece| piece.end - next));
            }
            furthest
        };
        assert_eq!(ahead(0, 256 * MIB), WINDOW_BYTES_MAX);
        assert_eq!(ahead(96 * MIB, 3 * MIB), 3 * MIB);
        assert_eq!(ahead(192 * MIB, 0), WINDOW_BYTES_MIN, "a stream keeps some");
        assert_eq!(ahead(288 * MIB, 20 * MIB), 20 * MIB);
    }

    #[test]
    fn what_was_planned_in_vain_is_planned_again_by_the_next_read() {
        let (mut planner, size) = (Planner::default(), 64 * MIB);
        let mut starts = (0..size).step_by(128 * 1024);
        let first = starts.find_map(|start| read(&mut planner, start, size).fetch);
        let first = first.unwrap();
        planner.planned_to(first.start);
        let again = starts
            .next()
            .and_then(|start| read(&mut planner, start, size).fetch);
        assert_eq!(again.unwrap().start, planner.next());
    }

    proptest! {
        /// Whatever is read, and whatever memory there is: nothing is fetched twice within a run,
        /// nothing outside the file or further ahead than the window may be, and never before the
        /// reader.
        #[test]
        fn fetches_are_bounded(
            size in 1..200 * MIB,
            jumps in prop::collection::vec(
                (0..200 * MIB, 1..64_u64, 1..256 * KIB, 0..64 * MIB, any::<bool>()),
                1..20,
            ),
        ) {
            let mut planner = Planner::default();
            let mut planned = 0;
            for (start, count, length, window_max, refused) in jumps {
                for n in 0..count {
                    let start = (start + n * length) % size;
                    let range = start..(start + length).min(size);
                    let plan = planner.on_read(&range, size, window_max);
                    if plan.reset {
                        planned = 0;
                    }
                    if let Some(piece) = plan.fetch {
                        prop_assert!(piece.start < piece.end && piece.end <= size);
                        prop_assert!(piece.start >= planned);
                        let window = window_max.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
                        prop_assert!(piece.end - planner.next <= window);
                        prop_assert!(plan.keep_from <= piece.start);
                        planned = piece.end;
                        if refused {
                            planned -= (piece.end - piece.start) / 2;
                            planner.planned_to(planned);
                        }
                    }
                }
            }
        }
    }
}
