use std::collections::VecDeque;

use super::{Key, PER_ENDPOINT_MAX};
use crate::tasks::spec::TaskType;

/// What waits for an endpoint and what runs there.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    quick: VecDeque<Key>,
    long: VecDeque<Key>,
    quick_running: usize,
    long_running: usize,
    pub(super) in_ring: bool,
    /// What the last one who asked found, when nobody was there; it names no bucket.
    pub(super) unreachable: Option<String>,
    /// Tasks that wait and have never had an answer.
    pub(super) unanswered: Vec<Key>,
}

impl Endpoint {
    pub(super) fn push(&mut self, key: Key) {
        self.line(key.1).push_back(key);
    }

    /// Takes a task out of the line. Only an edit or a deletion while the task waits comes here,
    /// and the line holds what waits for this endpoint alone.
    pub(super) fn withdraw(&mut self, key: &Key) {
        self.line(key.1).retain(|waiting| waiting != key);
    }

    /// The next task, now running. A long one leaves a place free for the quick.
    pub(super) fn start(&mut self) -> Option<Key> {
        if self.free() == 0 {
            return None;
        }
        let key = match self.quick.pop_front() {
            Some(key) => key,
            None if self.long_may_start() => self.long.pop_front()?,
            None => return None,
        };
        *self.running(key.1) += 1;
        Some(key)
    }

    /// A task of this type no longer runs.
    pub(super) fn ended(&mut self, task_type: TaskType) {
        let running = self.running(task_type);
        *running = running.saturating_sub(1);
    }

    pub(super) fn may_start(&self) -> bool {
        self.free() > 0 && (!self.quick.is_empty() || self.long_may_start())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.free() == PER_ENDPOINT_MAX && !self.in_ring
    }

    pub(super) fn waiting(&self) -> usize {
        self.quick.len() + self.long.len()
    }

    fn long_may_start(&self) -> bool {
        !self.long.is_empty() && self.long_running + 1 < PER_ENDPOINT_MAX
    }

    fn free(&self) -> usize {
        PER_ENDPOINT_MAX.saturating_sub(self.quick_running + self.long_running)
    }

    fn line(&mut self, task_type: TaskType) -> &mut VecDeque<Key> {
        if task_type.is_long() {
            &mut self.long
        } else {
            &mut self.quick
        }
    }

    fn running(&mut self, task_type: TaskType) -> &mut usize {
        if task_type.is_long() {
            &mut self.long_running
        } else {
            &mut self.quick_running
        }
    }
}
