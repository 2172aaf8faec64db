//! Waiting with a bound.

use std::{
    env,
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

/// The first pause of [`eventually`]; each further one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer, so that a test learns within a second of what has come.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// `duration` times the patience factor. That is `DLF_PATIENCE`, or 1 without it: limits are for two cores
/// that do nothing else, and a slower machine asks for more.
///
/// # Panics
/// When `DLF_PATIENCE` is no number above 0.
#[must_use]
pub fn patience(duration: Duration) -> Duration {
    static FACTOR: OnceLock<f64> = OnceLock::new();
    let factor = FACTOR.get_or_init(|| {
        let Ok(text) = env::var("DLF_PATIENCE") else {
            return 1.0;
        };
        let factor = text.parse().unwrap_or_default();
        assert!(
            factor > 0.0,
            "DLF_PATIENCE is {text:?}, not a factor above 0"
        );
        factor
    });
    duration.mul_f64(*factor)
}

/// Waits until `look` gives Ok, and gives what it gave. For what is not one object of Kubernetes, which
/// [`await_object`](crate::await_object) watches.
///
/// # Panics
/// When it still gives an error after `within`, times the patience factor: with what was waited for and that
/// error.
pub fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let within = patience(within);
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match look() {
            Ok(found) => return found,
            Err(error) => error,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "waited {within:?} for {what}: {error}");
        sleep(pause.min(left));
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Whether the long form of a test is asked for, as `make test-long` does with `DLF_LONG=1`.
#[must_use]
pub fn is_long() -> bool {
    env::var_os("DLF_LONG").is_some_and(|value| value == "1")
}
