//! What stands between a plugin and whoever asks it.

mod ledger;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

pub use self::ledger::Culprit;
use self::ledger::Ledger;
use super::{ANSWER, Channel, Fault, Question, Turns, Whose};
use crate::metrics::{Called, Metrics};

/// What a plugin may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for one answer, from when the plugin has the question.
    pub deadline: Duration,
    /// Calls that wait for their turn, with the one that has it; one more is refused.
    pub concurrency: usize,
    /// How long a call waits for its turn. A reconcile of an operator has a minute, and may ask twice.
    pub patience: Duration,
    /// Faults in a row, over different Datasets or nobody's, after which it is left alone for a while.
    pub failures: u32,
    /// How long it is left alone the first time; doubled each time up to `longest_pause`.
    pub pause: Duration,
    /// The longest it is left alone.
    pub longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: ANSWER,
            concurrency: 64, // as many as the controllers of both API groups reconcile at once
            patience: Duration::from_secs(15),
            failures: 3,
            pause: Duration::from_secs(2),
            longest_pause: Duration::from_mins(1),
        }
    }
}

/// A channel that always answers in time: with what the plugin said, or with what it did wrong. A Dataset
/// over which the plugin fails is left alone for longer each time, and so is a plugin that fails over
/// everything (Nygard, Release It!, "circuit breaker").
pub struct Guard {
    plugin: String,
    turns: Turns,
    limits: Limits,
    places: Semaphore,
    ledger: Mutex<Ledger>,
    metrics: Metrics,
}

impl Guard {
    /// Guards the channel to `plugin`.
    #[must_use]
    pub fn new(plugin: &str, inner: Arc<dyn Channel>, limits: Limits, metrics: Metrics) -> Self {
        Self {
            plugin: plugin.to_owned(),
            turns: Turns::new(inner, limits.deadline),
            limits,
            places: Semaphore::new(limits.concurrency),
            ledger: Mutex::default(),
            metrics,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks in turn. The error is how it is counted, and what to tell whoever asked.
    async fn guarded(&self, question: Question) -> Result<Vec<u8>, (Called, Fault)> {
        let whose = question.dataset.clone();
        let whose = whose.as_ref();
        let admit = || self.admit(whose);
        admit()?;
        let busy = |calls| (Called::Busy, Fault::Busy(calls));
        let place = self.places.try_acquire();
        let _place = place.map_err(|_| busy(self.limits.concurrency))?;
        let turn = timeout(self.limits.patience, self.turns.next()).await;
        let calls = || self.limits.concurrency - self.places.available_permits();
        let turn = turn.map_err(|_| busy(calls()))?;
        admit()?; // whoever was asked before may have shown that it is in vain
        let outcome = turn.ask(question).await;
        let mut ledger = self.ledger();
        match outcome {
            Ok(reply) => {
                ledger.answered(whose);
                Ok(reply)
            }
            Err(fault) => Err((fault.class(), ledger.failed(whose, fault, &self.limits))),
        }
    }

    fn admit(&self, whose: Option<&Whose>) -> Result<(), (Called, Fault)> {
        let admitted = self.ledger().admit(whose);
        admitted.map_err(|fault| (Called::Unavailable, fault))
    }
}

#[async_trait]
impl Channel for Guard {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        let began = Instant::now();
        let outcome = self.guarded(question).await;
        let called = outcome
            .as_ref()
            .err()
            .map_or(Called::Answered, |error| error.0);
        self.metrics.called(&self.plugin, called, began.elapsed());
        outcome.map_err(|(_, fault)| fault)
    }

    fn generation(&self) -> u64 {
        self.turns.generation()
    }

    fn fault(&self) -> Option<String> {
        self.ledger().fault()
    }

    fn culprits(&self) -> Vec<Culprit> {
        self.ledger().culprits()
    }
}

#[cfg(test)]
mod tests;
