//! The work queue before one controller, its back-off, and what metrics show of both.

mod backoff;
mod control;

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dlf_core::api::ApiGroup;
use futures::Stream;
use kube::{Resource, runtime::reflector::ObjectRef};

use self::backoff::BackOff;
pub(super) use self::control::control;
use super::{
    Metrics, Next,
    error::{Class, ReconcileError},
    metrics::{Failed, Kind, Outcome, Reconciled},
};
use crate::waker::{Name, Waker};

/// First wait after a failed reconcile.
const FIRST: Duration = Duration::from_millis(500);
/// First wait when a write met another one: what it lacked comes with the watch in milliseconds.
const FIRST_CONFLICT: Duration = Duration::from_millis(50);
/// A look at what is as it should be comes up to this part of its time later, so that what was
/// first seen together is not looked at together for ever.
const SPREAD: f32 = 0.1;

/// Objects that one controller is to look at.
#[derive(Debug)]
pub(super) struct WorkQueue {
    /// What is reconciled here.
    pub(super) kind: &'static str,
    names: Waker<Name>,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Added and not begun.
    waiting: HashSet<Name>,
    backoff: BackOff,
}

impl WorkQueue {
    pub(super) fn new(kind: &'static str, metrics: Metrics) -> Self {
        Self {
            kind,
            names: Waker::default(),
            metrics,
            state: Mutex::default(),
        }
    }

    /// Something happened to an object.
    pub(super) fn add(&self, name: &Name) {
        self.update(|state| state.waiting.insert(name.clone()));
        self.names.wake(name);
    }

    /// Ends the controller when the reconciles that have begun have ended.
    pub(super) fn close(&self) {
        self.names.close();
    }

    /// The names as references to objects of a group.
    pub(super) fn references<K>(
        self: &Arc<Self>,
        group: ApiGroup,
    ) -> impl Stream<Item = Result<ObjectRef<K>, Infallible>> + Send + use<K>
    where
        K: Resource<DynamicType = ApiGroup> + Send + 'static,
    {
        futures::stream::unfold((Arc::clone(self), group), |(queue, group)| async move {
            let (namespace, name) = queue.names.next().await?;
            let reference = ObjectRef::new_with(&name, group).within(&namespace);
            Some((Ok(reference), (queue, group)))
        })
    }

    /// A reconcile begins.
    pub(super) fn begun(&self, object: &Name) {
        self.update(|state| state.waiting.remove(object));
    }

    /// There is no such object.
    pub(super) fn gone(&self, object: &Name) {
        self.update(|state| {
            state.waiting.remove(object);
            state.backoff.forget(object);
        });
    }

    /// A reconcile ended; gives in how long it is the object's turn again, unless it is added before.
    pub(super) fn ended(
        &self,
        object: Name,
        took: Duration,
        outcome: &Result<Next, ReconcileError>,
    ) -> Option<Duration> {
        let kind = self.kind;
        let word = match outcome {
            Ok(Next::Wait | Next::After(_)) => Outcome::Done,
            Ok(Next::Blocked(_)) => Outcome::Blocked,
            Err(_) => Outcome::Failed,
        };
        let labels = Reconciled {
            kind,
            outcome: word,
        };
        self.metrics.reconciles.get_or_create(&labels).inc();
        self.metrics
            .seconds
            .get_or_create(&Kind { kind })
            .observe(took.as_secs_f64());
        if let Err(error) = outcome {
            let class = error.class();
            let labels = Failed { kind, class };
            self.metrics.errors.get_or_create(&labels).inc();
        }
        self.update(|state| requeue(&mut state.backoff, object, outcome))
    }

    /// Nothing waits here any more, nor is anything tried again: the controller has ended.
    pub(super) fn clear(&self) {
        self.update(|state| *state = State::default());
    }

    /// Changes the state, and the gauges by what changed: both groups of a kind share them.
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let before = (state.waiting.len(), state.backoff.len());
        let result = change(&mut state);
        let labels = Kind { kind: self.kind };
        let waiting = self.metrics.waiting.get_or_create(&labels);
        waiting.inc_by(difference(before.0, state.waiting.len()));
        let backing_off = self.metrics.backing_off.get_or_create(&labels);
        backing_off.inc_by(difference(before.1, state.backoff.len()));
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn requeue(
    backoff: &mut BackOff,
    object: Name,
    outcome: &Result<Next, ReconcileError>,
) -> Option<Duration> {
    let first = match outcome {
        Ok(Next::Blocked(first)) => *first,
        Err(error) if error.class() == Class::Conflict => FIRST_CONFLICT,
        Err(_) => FIRST,
        Ok(next) => {
            backoff.forget(&object);
            return match next {
                Next::After(wait) => Some(*wait + wait.mul_f32(SPREAD * fastrand::f32())),
                Next::Wait | Next::Blocked(_) => None,
            };
        }
    };
    Some(backoff.wait(object, first, Instant::now()))
}

fn difference(before: usize, after: usize) -> i64 {
    let number = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    number(after) - number(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Catalog;

    fn name(name: &str) -> Name {
        ("ns".to_owned(), name.to_owned())
    }

    fn conflict() -> ReconcileError {
        let status = kube::core::Status {
            code: 409,
            ..kube::core::Status::default()
        };
        ReconcileError::Api {
            doing: "testing",
            source: kube::Error::Api(Box::new(status)),
        }
    }

    #[test]
    fn conflicts_go_fast_other_errors_slower_and_obstacles_at_their_pace() {
        let mut backoff = BackOff::default();
        let mut first = |object: &str, outcome| {
            let wait = requeue(&mut backoff, name(object), &outcome).unwrap();
            (wait.mul_f32(0.5), wait)
        };
        for (object, outcome, expected) in [
            ("a", Err(conflict()), FIRST_CONFLICT),
            ("b", Err(ReconcileError::Panicked), FIRST),
            (
                "c",
                Ok(Next::Blocked(Duration::from_secs(5))),
                Duration::from_secs(5),
            ),
        ] {
            let (least, most) = first(object, outcome);
            assert!(least <= expected && expected <= most, "{object}: {most:?}");
        }
    }

    #[test]
    fn looks_at_what_is_in_order_drift_apart() {
        let mut backoff = BackOff::default();
        let hour = Duration::from_hours(1);
        let waits: HashSet<_> = (0..20)
            .filter_map(|_| requeue(&mut backoff, name("a"), &Ok(Next::After(hour))))
            .collect();
        assert!(waits.len() > 10, "{waits:?}");
        assert!(
            waits
                .iter()
                .all(|wait| (hour..hour * 11 / 10 + FIRST).contains(wait))
        );
        assert_eq!(requeue(&mut backoff, name("a"), &Ok(Next::Wait)), None);
    }

    #[test]
    fn metrics_tell_what_waits_and_forget_it_with_the_controller() {
        let mut catalog = Catalog::default();
        let metrics = Metrics::new(&mut catalog);
        let queues = [(); 2].map(|()| WorkQueue::new("Dataset", metrics.clone()));
        for queue in &queues {
            queue.add(&name("a"));
            queue.add(&name("a"));
            queue.add(&name("b"));
            queue.begun(&name("b"));
            let failed = Err(ReconcileError::Panicked);
            let _ = queue.ended(name("b"), Duration::from_millis(3), &failed);
        }
        let text = catalog.scrape().unwrap();
        for line in [
            "dlf_reconciles_waiting{kind=\"Dataset\"} 2",
            "dlf_reconciles_backing_off{kind=\"Dataset\"} 2",
            "dlf_reconcile_errors_total{kind=\"Dataset\",class=\"Bug\"} 2",
            "dlf_reconciles_total{kind=\"Dataset\",outcome=\"Failed\"} 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        queues[0].gone(&name("a"));
        let _ = queues[0].ended(name("b"), Duration::ZERO, &Ok(Next::Wait));
        queues[1].clear();
        let text = catalog.scrape().unwrap();
        for line in [
            "dlf_reconciles_waiting{kind=\"Dataset\"} 0",
            "dlf_reconciles_backing_off{kind=\"Dataset\"} 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
