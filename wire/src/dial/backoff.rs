use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Pauses between attempts: they double up to a ceiling, and each is drawn at random from the upper
/// half of its range, so that a thousand nodes do not return in the same moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` to `max`.
    #[must_use]
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            next: first,
        }
    }

    /// How long to pause now.
    pub fn pause(&mut self) -> Duration {
        let range = self.next;
        self.next = self.max.min(range.saturating_mul(2));
        range / 2 + (range / 2).mul_f64(fraction())
    }

    /// The last attempt succeeded: begin anew.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for Backoff {
    /// For a stream to the operator: quick at first, since a new leader is found within seconds,
    /// and never more than 10 s, since a pod may be waiting.
    fn default() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(10))
    }
}

/// A number in 0..1 from the process's own random hash keys: jitter needs no better source, and no
/// crate for it.
fn fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_ceiling_and_begin_anew() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, max);
        for range in [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis) {
            let pause = backoff.pause();
            assert!(
                pause >= range / 2 && pause <= range,
                "{pause:?} of {range:?}"
            );
        }
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
