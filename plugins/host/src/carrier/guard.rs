use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{Channel, Fault};
use crate::metrics::{Called, Metrics};

/// What a plugin may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for one answer.
    pub deadline: Duration,
    /// Bytes of one answer.
    pub reply_bytes: usize,
    /// Calls at once; one more is refused.
    pub concurrency: usize,
    /// Faults in a row after which it is left alone for a while.
    pub failures: u32,
    /// How long it is left alone the first time; doubled each time up to `longest_pause`.
    pub pause: Duration,
    /// The longest it is left alone.
    pub longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            reply_bytes: super::REPLY_BYTES_MAX,
            concurrency: 32, // as many as a controller reconciles at once
            failures: 5,
            pause: Duration::from_secs(2),
            longest_pause: Duration::from_mins(1),
        }
    }
}

/// A channel that always answers in time: with what the plugin said, or with what it did wrong.
pub struct Guard {
    plugin: String,
    inner: Arc<dyn Channel>,
    limits: Limits,
    places: Semaphore,
    breaker: Mutex<Breaker>,
    metrics: Metrics,
}

/// Leaves a plugin alone that fails again and again (Nygard, Release It!, "circuit breaker").
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    last: String,
    open_until: Option<Instant>,
}

impl Guard {
    /// Guards the channel to `plugin`.
    #[must_use]
    pub fn new(plugin: &str, inner: Arc<dyn Channel>, limits: Limits, metrics: Metrics) -> Self {
        Self {
            plugin: plugin.to_owned(),
            inner,
            limits,
            places: Semaphore::new(limits.concurrency),
            breaker: Mutex::default(),
            metrics,
        }
    }

    async fn guarded(&self, message: Vec<u8>) -> Result<Vec<u8>, Fault> {
        self.admit()?;
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| Fault::Busy(self.limits.concurrency))?;
        let answered = timeout(self.limits.deadline, self.inner.call(message)).await;
        let outcome = match answered {
            Err(_) => Err(Fault::Late(self.limits.deadline)),
            Ok(Ok(reply)) if reply.len() > self.limits.reply_bytes => Err(Fault::TooLarge {
                limit: self.limits.reply_bytes,
            }),
            Ok(outcome) => outcome,
        };
        if self.note(outcome.as_ref().err()) {
            self.inner.reset().await;
        }
        outcome
    }

    /// While the breaker is open nobody asks; when its time has come, one call finds out.
    fn admit(&self) -> Result<(), Fault> {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = breaker.open_until else {
            return Ok(());
        };
        let now = Instant::now();
        if now < until {
            return Err(Fault::Open {
                failures: breaker.failures,
                last: breaker.last.clone(),
                again_in: until - now,
            });
        }
        breaker.open_until = Some(now + self.limits.deadline);
        Ok(())
    }

    /// True when it is left alone from now on.
    fn note(&self, fault: Option<&Fault>) -> bool {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fault) = fault else {
            *breaker = Breaker::default();
            return false;
        };
        breaker.failures = breaker.failures.saturating_add(1);
        breaker.last = fault.to_string();
        let Some(more) = breaker.failures.checked_sub(self.limits.failures) else {
            return false;
        };
        let pause = self.limits.pause.saturating_mul(1 << more.min(16));
        breaker.open_until = Some(Instant::now() + pause.min(self.limits.longest_pause));
        true
    }
}

#[async_trait]
impl Channel for Guard {
    async fn call(&self, message: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let began = Instant::now();
        let outcome = self.guarded(message).await;
        let called = match &outcome {
            Ok(_) => Called::Answered,
            Err(fault) => Called::from(fault),
        };
        self.metrics.called(&self.plugin, called, began.elapsed());
        outcome
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    fn fault(&self) -> Option<String> {
        let breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        (breaker.failures > 0).then(|| breaker.last.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Answers with `replies` bytes after `takes`, or not at all.
    #[derive(Default)]
    struct Scripted {
        replies: Option<usize>,
        takes: Duration,
        calls: AtomicUsize,
    }

    #[async_trait]
    impl Channel for Scripted {
        async fn call(&self, _: Vec<u8>) -> Result<Vec<u8>, Fault> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(self.takes).await;
            match self.replies {
                Some(bytes) => Ok(vec![0; bytes]),
                None => Err(Fault::Ended("it exited with 1".to_owned())),
            }
        }
    }

    fn guarded(inner: Scripted, limits: Limits) -> (Arc<Scripted>, Guard) {
        let inner = Arc::new(inner);
        let guard = Guard::new(
            "x",
            Arc::clone(&inner) as Arc<dyn Channel>,
            limits,
            Metrics::default(),
        );
        (inner, guard)
    }

    #[tokio::test(start_paused = true)]
    async fn late_large_and_too_many_answers_are_named() {
        let late = Scripted {
            replies: Some(1),
            takes: Duration::from_mins(1),
            ..Scripted::default()
        };
        let (_, guard) = guarded(late, Limits::default());
        assert!(matches!(guard.call(vec![]).await, Err(Fault::Late(_))));
        let large = Scripted {
            replies: Some(9),
            ..Scripted::default()
        };
        let limits = Limits {
            reply_bytes: 8,
            ..Limits::default()
        };
        let (_, guard) = guarded(large, limits);
        let refused = guard.call(vec![]).await;
        assert_eq!(refused, Err(Fault::TooLarge { limit: 8 }));
        let slow = Scripted {
            replies: Some(1),
            takes: Duration::from_secs(1),
            ..Scripted::default()
        };
        let limits = Limits {
            concurrency: 1,
            ..Limits::default()
        };
        let (_, guard) = guarded(slow, limits);
        let (first, second) = tokio::join!(guard.call(vec![]), guard.call(vec![]));
        assert!(first.is_ok());
        assert_eq!(second, Err(Fault::Busy(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_keeps_failing_is_left_alone_and_asked_again() {
        let (inner, guard) = guarded(Scripted::default(), Limits::default());
        for _ in 0..20 {
            assert!(guard.call(vec![]).await.is_err());
        }
        let calls = || inner.calls.load(Ordering::Relaxed);
        assert_eq!(calls(), 5, "no more than it takes to know");
        let Err(Fault::Open { last, again_in, .. }) = guard.call(vec![]).await else {
            panic!("it is asked while it is left alone");
        };
        assert!(last.contains("exited with 1"), "{last}");
        tokio::time::advance(again_in).await;
        for _ in 0..5 {
            assert!(guard.call(vec![]).await.is_err());
        }
        assert_eq!(calls(), 6, "one call finds out");
        let Err(Fault::Open {
            again_in: longer, ..
        }) = guard.call(vec![]).await
        else {
            panic!("it is asked while it is left alone");
        };
        assert!(longer > again_in, "{longer:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_forgets_the_failures_before_it() {
        let good = Scripted {
            replies: Some(1),
            ..Scripted::default()
        };
        let (_, guard) = guarded(good, Limits::default());
        for _ in 0..4 {
            guard.note(Some(&Fault::Busy(1)));
        }
        assert!(guard.call(vec![]).await.is_ok());
        guard.note(Some(&Fault::Busy(1)));
        assert!(guard.call(vec![]).await.is_ok());
    }
}
