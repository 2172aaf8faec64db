//! Waiting for what a step wants to see; what was seen last is said when it takes too long.

use std::{cell::RefCell, future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use crate::cluster::RequestError;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The API server's answer cannot be had.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Something else than what should be was found.
    #[error("{0}")]
    Found(String),
}

/// What a look saw: what was waited for, or what is there instead.
pub(super) type Look<T> = Result<Result<T, String>, Fault>;

/// What was seen last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: RefCell<String>,
}

impl Watch {
    /// Looks until what is waited for is there; an API server that is away for a moment is asked again.
    pub(super) async fn until<T>(
        &self,
        mut look: impl AsyncFnMut() -> Look<T>,
    ) -> Result<T, Fault> {
        loop {
            match look().await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(instead)) => self.note(instead),
                Err(Fault::Request(error)) if error.passes() => self.note(error.to_string()),
                Err(fault) => return Err(fault),
            }
            sleep(PAUSE).await;
        }
    }

    fn note(&self, seen: String) {
        *self.seen.borrow_mut() = seen;
    }

    /// A step within its deadline: what it found, and how long it took.
    pub(super) async fn within(
        &self,
        deadline: Duration,
        step: impl Future<Output = Result<String, Fault>>,
    ) -> Result<String, String> {
        self.note("nothing".to_owned());
        let start = Instant::now();
        match timeout(deadline, step).await {
            Ok(Ok(found)) => Ok(format!("{found} ({} s)", start.elapsed().as_secs())),
            Ok(Err(fault)) => Err(fault.to_string()),
            Err(_) => Err(format!(
                "it took longer than {} s; seen last: {}",
                deadline.as_secs(),
                self.seen.borrow()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_that_takes_too_long_says_what_it_saw_last() {
        let watch = Watch::default();
        let never = watch.until(async || -> Look<String> { Ok(Err("two of three".to_owned())) });
        let said = watch.within(Duration::from_secs(5), never).await;
        assert_eq!(
            said.unwrap_err(),
            "it took longer than 5 s; seen last: two of three"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_away_for_a_moment_is_asked_again() {
        let watch = Watch::default();
        let mut looks = 0;
        let look = async || {
            looks += 1;
            match looks {
                1 => Err(RequestError::Late(PAUSE).into()),
                _ => Ok(Ok("there".to_owned())),
            }
        };
        let said = watch
            .within(Duration::from_secs(5), watch.until(look))
            .await;
        assert_eq!(said.unwrap(), "there (1 s)");
        let refused = watch.until(async || -> Look<String> {
            Err(RequestError::Forbidden("no".to_owned()).into())
        });
        let said = watch.within(Duration::from_secs(5), refused).await;
        assert_eq!(said.unwrap_err(), "no");
    }
}
