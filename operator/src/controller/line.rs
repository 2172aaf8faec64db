//! The line before one controller: who waits in which order, and how many go in at once.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dlf_core::api::ApiGroup;
use futures::Stream;
use kube::{Resource, runtime::reflector::ObjectRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Metrics, Next, error::ReconcileError, ledger::Ledger};
use crate::waker::{Name, Urgency, Waker};

/// Reconciles at once per kind and group: enough to hide the API server's latency, few enough to
/// leave it to others.
pub(super) const CONCURRENCY: u16 = 32;

/// Objects that one controller is to look at.
///
/// It is given a name only when that name's turn can begin: what a controller holds itself goes in
/// the order in which it came.
#[derive(Debug)]
pub(super) struct Line {
    ledger: Ledger,
    waker: Waker<Name>,
    places: Arc<Semaphore>,
    /// Places of those that were handed over and whose turn has not begun.
    handed_over: Mutex<HashMap<Name, OwnedSemaphorePermit>>,
}

impl Line {
    pub(super) fn new(kind: &'static str, metrics: &Metrics) -> Self {
        Self {
            ledger: Ledger::new(kind, metrics.clone()),
            waker: Waker::default(),
            places: Arc::new(Semaphore::new(CONCURRENCY.into())),
            handed_over: Mutex::default(),
        }
    }

    /// What is reconciled here.
    pub(super) const fn kind(&self) -> &'static str {
        self.ledger.kind
    }

    /// Something happened to an object.
    pub(super) fn wake(&self, name: &Name, urgency: Urgency) {
        self.ledger.woken(name);
        self.waker.wake(name, urgency);
    }

    /// Ends the controller when the turns that have begun have ended.
    pub(super) fn close(&self) {
        self.waker.close();
    }

    /// The names as references to objects of a group, each when there is a place for it.
    pub(super) fn references<K>(
        self: &Arc<Self>,
        group: ApiGroup,
    ) -> impl Stream<Item = Result<ObjectRef<K>, Infallible>> + Send + use<K>
    where
        K: Resource<DynamicType = ApiGroup> + Send + 'static,
    {
        futures::stream::unfold((Arc::clone(self), group), |(line, group)| async move {
            let (namespace, name) = line.next().await?;
            let reference = ObjectRef::new_with(&name, group).within(&namespace);
            Some((Ok(reference), (line, group)))
        })
    }

    async fn next(&self) -> Option<Name> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let (name, _) = self.waker.next().await?;
        // Handed over twice before its turn, it has one turn: the other place is free again.
        self.lock().insert(name.clone(), place);
        Some(name)
    }

    /// The turn of a name begins, and lasts as long as what this gives. It is nothing when its time had come
    /// without anybody waking it.
    pub(super) fn begin(&self, name: &Name) -> Option<OwnedSemaphorePermit> {
        self.ledger.begun(name);
        self.lock().remove(name)
    }

    /// There is no such object.
    pub(super) fn gone(&self, name: &Name) {
        self.ledger.gone(name);
        self.lock().remove(name);
    }

    /// A turn of a name ended; see [`Ledger::ended`].
    pub(super) fn ended(
        &self,
        name: Name,
        took: Duration,
        outcome: &Result<Next, ReconcileError>,
    ) -> Option<Duration> {
        self.ledger.ended(name, took, outcome)
    }

    /// Nothing waits here any more, nor is anything tried again.
    pub(super) fn forget(&self) {
        self.ledger.close();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, OwnedSemaphorePermit>> {
        let handed_over = self.handed_over.lock();
        handed_over.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::metrics::Catalog;

    fn line() -> Line {
        Line::new("Dataset", &Metrics::new(&mut Catalog::default()))
    }

    fn name(number: u16) -> Name {
        ("ns".to_owned(), number.to_string())
    }

    /// The next name, if it has a place at once.
    async fn next(line: &Line) -> Option<Name> {
        timeout(Duration::from_millis(1), line.next()).await.ok()?
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_waits_for_one_turn_and_not_behind_thousands() {
        let line = line();
        for number in 0..10_000 {
            line.wake(&name(number), Urgency::Later);
        }
        let mut turns = Vec::new();
        for _ in 0..CONCURRENCY {
            turns.push(line.begin(&next(&line).await.unwrap()));
        }
        let edited = name(20_000);
        line.wake(&edited, Urgency::Soon);
        assert_eq!(next(&line).await, None);
        drop(turns.pop());
        assert_eq!(next(&line).await, Some(edited));
    }

    #[tokio::test(start_paused = true)]
    async fn no_place_is_lost_however_a_turn_ends_or_none_begins() {
        let line = line();
        for number in 0..10 * CONCURRENCY {
            let name = name(number % 7);
            line.wake(&name, Urgency::Soon);
            assert_eq!(next(&line).await.as_ref(), Some(&name));
            match number % 3 {
                0 => drop(line.begin(&name)),
                1 => line.gone(&name),
                // Woken again before its turn.
                _ => {}
            }
        }
        assert!(line.begin(&name(1_000)).is_none());
        let held = line.lock().len();
        assert!(held <= 7, "{held}");
        assert_eq!(
            line.places.available_permits() + held,
            usize::from(CONCURRENCY)
        );
    }
}
