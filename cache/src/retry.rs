//! Retries: when to ask again, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause: a connection that a server closed while idle needs none at all.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The longest pause: a source that comes back is noticed within it.
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// An attempt with less time than this would say "timeout" where the one before knew better.
const ATTEMPT_MIN: Duration = Duration::from_millis(500);

/// How long a server may show in all that it is at work, by bytes that come before its answer, without
/// that counting as waiting. AWS speaks of several minutes for large uploads; one that keeps sending
/// spaces beyond that will not come to an end.
const STRETCH_MAX: Duration = Duration::from_mins(10);

/// Counts the attempts of one operation and the time since it last got anywhere.
#[derive(Debug)]
pub(crate) struct Retries {
    limit: Duration,
    since: Instant,
    failures: u32,
    /// What is left of [`STRETCH_MAX`].
    stretch: Duration,
}

impl Retries {
    pub(crate) fn new(limit: Duration) -> Self {
        Self::since(Instant::now(), limit)
    }

    /// Of somebody who has waited since then.
    pub(crate) fn since(since: Instant, limit: Duration) -> Self {
        Self {
            limit,
            since,
            failures: 0,
            stretch: STRETCH_MAX,
        }
    }

    /// For how long a server may yet show that it is at work.
    pub(crate) fn stretch(&self) -> Duration {
        self.stretch
    }

    /// A server showed for so long that it was at work, and failed then: that was no waiting.
    pub(crate) fn stretched(&mut self, time: Duration) {
        self.stretch = self.stretch.saturating_sub(time);
        self.skip(time);
    }

    /// The caller did something else for so long: that was no waiting.
    pub(crate) fn skip(&mut self, time: Duration) {
        self.since = (self.since + time).min(Instant::now());
    }

    /// The operation got some of the way, as far as may take so long. When that makes up for all
    /// the waiting, pauses begin anew.
    pub(crate) fn credit(&mut self, time: Duration) {
        if time >= self.since.elapsed() {
            self.failures = 0;
        }
        self.skip(time);
    }

    /// When the operation is to fail.
    pub(crate) fn deadline(&self) -> Instant {
        self.since + self.limit
    }

    /// What is left until then.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// Attempts that have failed since the last progress.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Waits before the next attempt; false if there is no time for one.
    pub(crate) async fn pause(&mut self) -> bool {
        let pause = jittered(self.failures);
        self.failures = self.failures.saturating_add(1);
        if self.remaining() < pause + ATTEMPT_MIN {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// Doubles with each failure up to [`PAUSE_MAX`]; half of it is chance, so that the clients of a
/// source that restarts do not all come back in the same moment.
fn jittered(failures: u32) -> Duration {
    /// 50 ms doubled so often exceeds every pause; more would overflow.
    const DOUBLINGS_MAX: u32 = 16;
    let full = (PAUSE_FIRST * (1 << failures.min(DOUBLINGS_MAX))).min(PAUSE_MAX);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        for failures in 0..=u32::from(u8::MAX) {
            let pause = jittered(failures);
            assert!(
                pause <= PAUSE_MAX && pause >= PAUSE_FIRST / 2,
                "{failures}: {pause:?}"
            );
        }
        assert!(jittered(u32::MAX) >= PAUSE_MAX / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_time_is_up_and_not_before() {
        let limit = Duration::from_secs(90);
        let mut retries = Retries::new(limit);
        let began = Instant::now();
        while retries.pause().await {}
        assert!(began.elapsed() <= limit);
        assert!(began.elapsed() + PAUSE_MAX + ATTEMPT_MIN >= limit);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_renews_the_limit_as_far_as_it_goes() {
        let limit = Duration::from_secs(2);
        let mut retries = Retries::new(limit);
        while retries.pause().await {}
        // Less than what was waited for, however short chance made the pauses.
        retries.credit(limit / 10);
        assert!(retries.remaining() >= limit / 10 && retries.failures() > 0);
        retries.credit(limit * 10);
        assert_eq!((retries.remaining(), retries.failures()), (limit, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_shown_is_no_waiting_within_a_bound() {
        let limit = Duration::from_secs(90);
        let mut retries = Retries::new(limit);
        tokio::time::sleep(STRETCH_MAX).await;
        retries.stretched(STRETCH_MAX);
        assert_eq!(retries.remaining(), limit);
        assert_eq!(retries.stretch(), Duration::ZERO);
    }
}
