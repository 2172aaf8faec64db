//! Which task runs next, where: an index without I/O, clock or async.
//!
//! Each dataset has one slot per type of task, so what is remembered is bounded by the datasets. An
//! endpoint that has work and a free place stands in a ring; workers take from the ring's front. So
//! an endpoint that never answers holds up its own two places and nothing else, and a dataset with
//! much to do waits for its next turn like the others.

mod endpoint;
mod running;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use dlf_wire::nodes::v1::Failure;

use super::spec::{Outcome, TaskSpec, TaskType};
use crate::nodes::registry::Handle;
use endpoint::Endpoint;
use slot::{Slot, Stage};

pub use running::{Assignment, WorkerId};
pub use slot::{Amount, Finished, Freshness, Progress};

/// Tasks at once in one worker, whatever it offers: each may hold a connection and buffers.
pub const PER_WORKER_MAX: usize = 64;
/// Tasks at once at one endpoint: enough to get on, too few to be a nuisance to a source.
pub const PER_ENDPOINT_MAX: usize = 2;
/// A task that was put back this often because its worker went away is given up: it may be what
/// ends them.
pub const ATTEMPTS_MAX: u32 = 5;
/// A worker keeps a task's deadline itself; after this much more the worker is not believed to be
/// working on it any longer.
const GRACE: Duration = Duration::from_secs(5);

/// Reason of a task that did not end in its time.
pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
/// Reason of a task that found nobody at its endpoint.
const UNREACHABLE: &str = "Unreachable";

/// One slot: a dataset and a type of task.
type Key = (Handle, TaskType);

/// The index.
#[derive(Debug, Default)]
pub struct Queue {
    slots: HashMap<Key, Slot>,
    ids: HashMap<String, Key>,
    endpoints: HashMap<String, Endpoint>,
    /// Endpoints with work and a free place, each once.
    ring: VecDeque<String>,
    workers: HashMap<WorkerId, running::Worker>,
    overdue: BTreeMap<(Instant, String), Key>,
    last_worker: u64,
    /// Datasets whose results or progress changed.
    changed: HashSet<Handle>,
}

impl Queue {
    /// Says that the result of `spec` is wanted, not older than `fresh`, and where it stands. Any
    /// other task in the slot is given up. Asking again changes nothing.
    pub fn want(&mut self, spec: TaskSpec, fresh: Freshness, now: Instant) -> Progress {
        let key = (spec.dataset.clone(), spec.task_type());
        let id = spec.id();
        if self.slots.get(&key).is_some_and(|slot| slot.id != id) {
            self.remove(&key);
        }
        let slot = self.slots.entry(key.clone()).or_insert_with(|| Slot {
            endpoint: spec.endpoint(),
            id: id.clone(),
            spec,
            stage: Stage::Idle,
            attempts: 0,
            done: Amount::default(),
            turn: Amount::default(),
            done_to: String::new(),
            latest: None,
        });
        let stale = slot.latest.as_ref().is_none_or(|latest| {
            let most = match latest.outcome {
                Outcome::Done { .. } => fresh.done,
                Outcome::Failed(_) => fresh.failed,
            };
            now.saturating_duration_since(latest.at) >= most
        });
        if slot.stage == Stage::Idle && stale {
            slot.attempts = 0;
            slot.done = Amount::default();
            slot.done_to.clear();
            self.ids.insert(id, key.clone());
            self.enqueue(&key, now);
        }
        self.progress(&key)
    }

    /// The dataset has gone: nothing of it is wanted any more.
    pub fn forget(&mut self, dataset: &Handle) {
        for task_type in TaskType::ALL {
            self.give_up(dataset, task_type);
        }
    }

    /// Whether a task of this type was wanted of this dataset.
    #[must_use]
    pub fn knows(&self, dataset: &Handle, task_type: TaskType) -> bool {
        self.slots.contains_key(&(dataset.clone(), task_type))
    }

    /// A task of this type is not wanted of this dataset any more.
    pub fn give_up(&mut self, dataset: &Handle, task_type: TaskType) {
        self.remove(&(dataset.clone(), task_type));
    }

    /// Datasets whose results or progress changed since this was last called.
    pub fn take_changed(&mut self) -> HashSet<Handle> {
        std::mem::take(&mut self.changed)
    }

    /// Tasks that wait for a place or a worker, and tasks that run.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        let waiting = self.endpoints.values().map(Endpoint::waiting).sum();
        (waiting, self.overdue.len())
    }

    /// Whether some worker may find something to do.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.ring.is_empty() || self.workers.values().any(running::Worker::is_to_cancel)
    }

    fn progress(&self, key: &Key) -> Progress {
        self.slots
            .get(key)
            .map_or_else(Progress::default, |slot| Progress {
                latest: slot.latest.clone(),
                pending: slot.stage != Stage::Idle,
                done: slot.done.and(slot.turn),
            })
    }

    /// Puts a slot at the end of its endpoint's line.
    fn enqueue(&mut self, key: &Key, now: Instant) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.stage = Stage::Queued;
        let (name, unanswered) = (slot.endpoint.clone(), slot.latest.is_none());
        let endpoint = self.endpoints.entry(name.clone()).or_default();
        endpoint.push(key.clone());
        match endpoint.unreachable.clone() {
            Some(why) => self.presume(key, &why, now),
            None if unanswered => endpoint.unanswered.push(key.clone()),
            None => {}
        }
        self.offer(&name);
    }

    /// Gives an endpoint its place in the ring if it has work that may start.
    fn offer(&mut self, name: &str) {
        let Some(endpoint) = self.endpoints.get_mut(name) else {
            return;
        };
        if endpoint.is_idle() {
            self.endpoints.remove(name);
        } else if endpoint.may_start() && !std::mem::replace(&mut endpoint.in_ring, true) {
            self.ring.push_back(name.to_owned());
        }
    }

    /// Forgets a slot, wherever it stands.
    fn remove(&mut self, key: &Key) {
        let Some(slot) = self.slots.remove(key) else {
            return;
        };
        self.ids.remove(&slot.id);
        match slot.stage {
            Stage::Idle => {}
            Stage::Queued => {
                if let Some(endpoint) = self.endpoints.get_mut(&slot.endpoint) {
                    endpoint.withdraw(key);
                }
            }
            Stage::Running { worker, overdue } => {
                self.overdue.remove(&(overdue, slot.id.clone()));
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.running.remove(&slot.id);
                    worker.cancel.push(slot.id);
                }
                if let Some(endpoint) = self.endpoints.get_mut(&slot.endpoint) {
                    endpoint.ended(key.1);
                }
            }
        }
        self.offer(&slot.endpoint);
    }
}

fn failure(reason: &str, message: &str) -> Outcome {
    Outcome::Failed(Failure::new(reason, message))
}
