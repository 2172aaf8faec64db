//! Work that touches sources, done by workers on behalf of the controllers.
//!
//! A controller says at each reconcile which results it [wants](Tasks::want) and how fresh; it gets
//! what is known at once and is woken through [`Changes`] when there is more. Nothing is persisted:
//! tasks are idempotent, and a new leader wants them again.

mod queue;
mod spec;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::nodes::registry::Handle;
use crate::waker::Changes;

pub use queue::{
    ATTEMPTS_MAX, Amount, Assignment, DEADLINE_EXCEEDED, Finished, Freshness, PER_ENDPOINT_MAX,
    PER_WORKER_MAX, Progress, Queue, WorkerId,
};
pub use spec::{Outcome, TaskSpec, TaskType};

/// How often deadlines are looked at: they are tens of seconds, and the look costs nothing.
const DEADLINE_INTERVAL: Duration = Duration::from_secs(1);

/// The queue, shared: who changes it wakes the workers and controllers that this concerns.
#[derive(Debug)]
pub struct Tasks {
    queue: Mutex<Queue>,
    /// Bumped when a worker may find something. There are two workers, so all are woken.
    work: watch::Sender<()>,
    changes: Changes,
}

impl Tasks {
    /// An empty queue that reports to `changes`.
    #[must_use]
    pub fn new(changes: Changes) -> Self {
        Self {
            queue: Mutex::default(),
            work: watch::Sender::default(),
            changes,
        }
    }

    /// Says that a result is wanted, and where it stands; see [`Queue::want`].
    pub fn want(&self, spec: TaskSpec, fresh: Freshness) -> Progress {
        self.update(|queue| queue.want(spec, fresh, Instant::now()))
    }

    /// The dataset has gone: its tasks are cancelled and its results forgotten.
    pub fn forget(&self, dataset: &Handle) {
        self.update(|queue| queue.forget(dataset));
    }

    /// A task of this type is not wanted of this dataset any more.
    pub fn give_up(&self, dataset: &Handle, task_type: TaskType) {
        // Of most datasets none ever was, and workers are woken by what changes.
        if !self.lock().knows(dataset, task_type) {
            return;
        }
        self.update(|queue| queue.give_up(dataset, task_type));
    }

    /// Forgets everything: another replica leads now.
    pub fn clear(&self) {
        *self.lock() = Queue::default();
        self.work.send_replace(());
    }

    /// Workers with a stream. With none, nothing that is wanted will come.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.lock().workers()
    }

    /// Tasks that wait, and tasks that run.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        self.lock().depth()
    }

    /// Gives up what workers hold too long. Runs for ever.
    pub async fn keep_deadlines(&self) {
        let mut tick = tokio::time::interval(DEADLINE_INTERVAL);
        loop {
            tick.tick().await;
            self.update(|queue| queue.expire(Instant::now()));
        }
    }

    /// A worker's stream begins; the receiver is bumped whenever there may be work.
    pub(crate) fn join(&self, capacity: u32) -> (WorkerId, watch::Receiver<()>) {
        let mut work = self.work.subscribe();
        work.mark_changed();
        (self.update(|queue| queue.join(capacity)), work)
    }

    pub(crate) fn leave(&self, worker: WorkerId) {
        self.update(|queue| queue.leave(worker, Instant::now()));
    }

    pub(crate) fn assign(&self, worker: WorkerId) -> Option<Assignment> {
        self.lock().assign(worker, Instant::now())
    }

    pub(crate) fn finish(&self, worker: WorkerId, id: &str, outcome: Outcome) {
        self.update(|queue| queue.finish(worker, id, outcome, Instant::now()));
    }

    pub(crate) fn progressed(&self, worker: WorkerId, id: &str, turn: Amount, done_to: String) {
        self.update(|queue| queue.progressed(worker, id, turn, done_to));
    }

    fn update<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.lock();
        let result = change(&mut queue);
        let changed = queue.take_changed();
        let wake = queue.has_news();
        drop(queue);
        for dataset in &changed {
            self.changes.reports.wake(dataset);
        }
        if wake {
            self.work.send_replace(());
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
