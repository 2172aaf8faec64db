use std::collections::HashSet;
use std::time::Instant;

use super::{
    ATTEMPTS_MAX, Amount, DEADLINE_EXCEEDED, Finished, GRACE, Key, PER_WORKER_MAX, Queue, Slot,
    Stage, UNREACHABLE, failure,
};
use crate::tasks::spec::{Outcome, TaskSpec};

/// One stream of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u64);

#[derive(Debug)]
pub(super) struct Worker {
    capacity: usize,
    pub(super) running: HashSet<String>,
    /// Tasks it is to stop. Bounded: each was running here.
    pub(super) cancel: Vec<String>,
}

impl Worker {
    pub(super) fn is_to_cancel(&self) -> bool {
        !self.cancel.is_empty()
    }
}

/// What a worker is to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Assignment {
    /// Start this.
    Run {
        /// The task's id.
        id: String,
        /// The task.
        spec: Box<TaskSpec>,
    },
    /// Stop the task with this id; its result is of no interest.
    Cancel(String),
}

impl Queue {
    /// A worker's stream begins.
    pub fn join(&mut self, capacity: u32) -> WorkerId {
        self.last_worker += 1;
        let id = WorkerId(self.last_worker);
        let capacity = usize::try_from(capacity)
            .unwrap_or(PER_WORKER_MAX)
            .min(PER_WORKER_MAX);
        let worker = Worker {
            capacity,
            running: HashSet::new(),
            cancel: Vec::new(),
        };
        self.workers.insert(id, worker);
        id
    }

    /// A worker's stream ended: what it was doing goes back into the line.
    pub fn leave(&mut self, worker: WorkerId, now: Instant) {
        let Some(worker) = self.workers.remove(&worker) else {
            return;
        };
        for id in worker.running {
            self.put_back(&id, now);
        }
    }

    /// What `worker` is to do next, if there is something and it has room.
    pub fn assign(&mut self, worker: WorkerId, now: Instant) -> Option<Assignment> {
        let state = self.workers.get_mut(&worker)?;
        if let Some(id) = state.cancel.pop() {
            return Some(Assignment::Cancel(id));
        }
        if state.running.len() >= state.capacity {
            return None;
        }
        let (key, name) = loop {
            let name = self.ring.pop_front()?;
            let Some(endpoint) = self.endpoints.get_mut(&name) else {
                continue;
            };
            endpoint.in_ring = false;
            let started = endpoint.start();
            self.offer(&name);
            if let Some(key) = started {
                break (key, name);
            }
        };
        let Some(slot) = self.slots.get_mut(&key) else {
            debug_assert!(false, "{name}: a task without a slot");
            return None;
        };
        let overdue = now + slot.spec.task_type().deadline() + GRACE;
        slot.stage = Stage::Running { worker, overdue };
        slot.attempts += 1;
        self.overdue.insert((overdue, slot.id.clone()), key);
        if let Some(state) = self.workers.get_mut(&worker) {
            state.running.insert(slot.id.clone());
        }
        Some(Assignment::Run {
            id: slot.id.clone(),
            spec: Box::new(slot.spec.going_on_behind(&slot.done_to)),
        })
    }

    /// A worker's result. One that nobody waits for any more is dropped.
    pub fn finish(&mut self, worker: WorkerId, id: &str, outcome: Outcome, now: Instant) {
        let Some(key) = self.stop(id, Some(worker)) else {
            return;
        };
        if let (Outcome::Done { read, .. }, Some(slot)) = (&outcome, self.slots.get_mut(&key)) {
            // Of what was done last nobody told.
            slot.turn = Amount {
                objects: slot.turn.objects.max(read.objects),
                bytes: slot.turn.bytes.max(read.bytes),
            };
        }
        if self.has_more_turns(&key, &outcome) {
            self.enqueue(&key, now);
        } else {
            self.tell_others(&key, &outcome, now);
            self.settle(&key, outcome, now);
        }
    }

    /// Where nobody answers, those who still wait to ask are told so now: two at a time, the last of
    /// a hundred would not know for minutes. They ask all the same.
    fn tell_others(&mut self, key: &Key, outcome: &Outcome, now: Instant) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let Some(endpoint) = self.endpoints.get_mut(&slot.endpoint) else {
            return;
        };
        let waiting = std::mem::take(&mut endpoint.unanswered);
        let found = match outcome {
            Outcome::Failed(why) => Some(&why.unreachable).filter(|why| !why.is_empty()),
            Outcome::Done { .. } => None,
        };
        endpoint.unreachable = found.cloned();
        let Some(why) = found else {
            return;
        };
        for other in waiting.iter().filter(|other| *other != key) {
            self.presume(other, why, now);
        }
    }

    /// Takes what another found at the same endpoint for an answer, until there is a real one.
    pub(super) fn presume(&mut self, key: &Key, why: &str, now: Instant) {
        let Some(slot) = self.slots.get(key).filter(|slot| slot.latest.is_none()) else {
            return;
        };
        let message = format!("{}: {why}", slot.spec.place());
        self.settle(key, failure(UNREACHABLE, &message), now);
    }

    /// A long task tells how far it is.
    pub fn progressed(&mut self, worker: WorkerId, id: &str, turn: Amount, done_to: String) {
        let Some(key) = self.ids.get(id) else { return };
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if matches!(slot.stage, Stage::Running { worker: at, .. } if at == worker) {
            slot.turn = turn;
            slot.done_to = done_to;
            self.changed.insert(key.0.clone());
        }
    }

    /// Gives up what should have ended by `now`, and says when to look again.
    pub fn expire(&mut self, now: Instant) -> Option<Instant> {
        while let Some(((due, id), _)) = self.overdue.first_key_value() {
            if *due > now {
                return Some(*due);
            }
            let id = id.clone();
            if let Some(key) = self.stop(&id, None) {
                let message = "the worker gave no answer in time";
                self.settle(&key, failure(DEADLINE_EXCEEDED, message), now);
            }
        }
        None
    }

    /// Workers with a stream.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Puts a task whose worker has gone back into the line, unless that happened often enough.
    fn put_back(&mut self, id: &str, now: Instant) {
        let Some(key) = self.stop(id, None) else {
            return;
        };
        let is_left = |slot: &mut Slot| {
            slot.done = slot.done.and(std::mem::take(&mut slot.turn));
            slot.attempts < ATTEMPTS_MAX
        };
        if self.slots.get_mut(&key).is_some_and(is_left) {
            self.enqueue(&key, now);
        } else {
            let message = "the worker went away each time it was at this; see its log";
            self.settle(&key, failure("WorkerLost", message), now);
        }
    }

    /// A long task that got on until its deadline goes on after the others had their turn.
    fn has_more_turns(&mut self, key: &Key, outcome: &Outcome) -> bool {
        let Some(slot) = self.slots.get_mut(key) else {
            return false;
        };
        let turn = std::mem::take(&mut slot.turn);
        slot.done = slot.done.and(turn);
        let in_time = !matches!(outcome, Outcome::Failed(why) if why.reason == DEADLINE_EXCEEDED);
        if in_time || turn.objects == 0 || !key.1.is_long() {
            return false;
        }
        slot.attempts = 0;
        true
    }

    /// Ends a running task (of `worker`, if given) and frees its places.
    fn stop(&mut self, id: &str, by: Option<WorkerId>) -> Option<Key> {
        let key = self.ids.get(id)?.clone();
        let slot = self.slots.get_mut(&key)?;
        let Stage::Running { worker, overdue } = slot.stage else {
            return None;
        };
        if by.is_some_and(|by| by != worker) {
            return None;
        }
        slot.stage = Stage::Idle;
        self.overdue.remove(&(overdue, id.to_owned()));
        if let Some(state) = self.workers.get_mut(&worker) {
            state.running.remove(id);
            if by.is_none() {
                state.cancel.push(id.to_owned());
            }
        }
        let name = slot.endpoint.clone();
        if let Some(endpoint) = self.endpoints.get_mut(&name) {
            endpoint.ended(key.1);
        }
        self.offer(&name);
        Some(key)
    }

    fn settle(&mut self, key: &Key, outcome: Outcome, at: Instant) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.latest = Some(Finished { outcome, at });
            self.changed.insert(key.0.clone());
        }
    }
}
