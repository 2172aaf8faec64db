//! How long an object waits that could not be brought to what it says: longer each time, and not as
//! long as any other, so that a thousand failures do not come back at once.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::waker::Name;

/// Waits grow no longer here. The jitter adds up to as much again to each.
const LONGEST: Duration = Duration::from_mins(1);
/// Longest wait: with the jitter what heals is seen within this.
pub(super) const RETRY_MAX: Duration = LONGEST.saturating_mul(2);
/// Objects whose waits are remembered: more wait only when the API server is away, and then all of
/// them may wait their longest.
const OBJECTS_MAX: usize = 50_000;

/// Objects of one controller that wait. One is forgotten when it succeeds or goes.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    waits: HashMap<Name, Wait>,
}

#[derive(Debug)]
struct Wait {
    schedule: ExponentialBackoff,
    until: Instant,
}

impl BackOff {
    /// How long the object waits, which did not succeed: `first`, and then twice as long each time.
    /// Woken before its time and not succeeding again, it waits for the rest of it.
    pub(super) fn wait(&mut self, object: Name, first: Duration, now: Instant) -> Duration {
        let room = self.waits.len() < OBJECTS_MAX;
        let wait = match self.waits.entry(object) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if room => new.insert(Wait {
                schedule: schedule(first),
                until: now,
            }),
            Entry::Vacant(_) => return RETRY_MAX,
        };
        if wait.until <= now {
            wait.until = now + wait.schedule.next().unwrap_or(RETRY_MAX);
        }
        wait.until - now
    }

    /// The object succeeded, or is no more.
    pub(super) fn forget(&mut self, object: &Name) {
        self.waits.remove(object);
    }

    /// Objects that wait.
    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }
}

fn schedule(first: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(LONGEST)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);

    fn name(name: &str) -> Name {
        ("ns".to_owned(), name.to_owned())
    }

    /// Waits of an object that fails again whenever its time has come.
    fn waits(backoff: &mut BackOff, object: &str, count: usize) -> Vec<Duration> {
        let mut now = Instant::now();
        let mut next = || {
            let wait = backoff.wait(name(object), FIRST, now);
            now += wait;
            wait
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits = waits(&mut BackOff::default(), "a", 20);
        for (failure, wait) in waits.iter().enumerate() {
            let base = FIRST.saturating_mul(1 << failure.min(10)).min(LONGEST);
            assert!(
                (base..=base * 2).contains(wait),
                "failure {failure}: {wait:?}"
            );
        }
        assert!(waits.iter().all(|wait| *wait <= RETRY_MAX));
    }

    #[test]
    fn objects_that_fail_together_do_not_come_back_together() {
        let (mut backoff, now) = (BackOff::default(), Instant::now());
        let mut waits: Vec<_> = (0..100)
            .map(|number: i32| backoff.wait(name(&number.to_string()), FIRST, now))
            .collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 50, "{} different waits of 100", waits.len());
    }

    #[test]
    fn a_bad_object_never_slows_another_and_success_forgets() {
        let mut backoff = BackOff::default();
        waits(&mut backoff, "bad", 10);
        assert!(waits(&mut backoff, "other", 1)[0] <= FIRST * 2);
        backoff.forget(&name("bad"));
        assert!(waits(&mut backoff, "bad", 1)[0] <= FIRST * 2);
        backoff.forget(&name("bad"));
        backoff.forget(&name("other"));
        assert_eq!(backoff.len(), 0);
    }

    #[test]
    fn being_woken_early_neither_lengthens_nor_restarts_a_wait() {
        let (mut backoff, now) = (BackOff::default(), Instant::now());
        let wait = backoff.wait(name("a"), FIRST, now);
        for early in [1, 2, 3].map(Duration::from_millis) {
            assert_eq!(backoff.wait(name("a"), FIRST, now + early) + early, wait);
        }
        assert!(backoff.wait(name("a"), FIRST, now + wait) >= FIRST * 2);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut backoff, now) = (BackOff::default(), Instant::now());
        for number in 0..=OBJECTS_MAX {
            backoff.wait(name(&number.to_string()), FIRST, now);
        }
        assert_eq!(backoff.len(), OBJECTS_MAX);
        assert_eq!(backoff.wait(name("one more"), FIRST, now), RETRY_MAX);
    }
}
