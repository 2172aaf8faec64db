use std::time::{Duration, Instant};

use super::WorkerId;
use crate::tasks::spec::{Outcome, TaskSpec};

/// How old a result may be to be taken for the present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Of a task that was done.
    pub done: Duration,
    /// Of one that failed: shorter, so that what heals is seen.
    pub failed: Duration,
}

/// A result and when it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What came out.
    pub outcome: Outcome,
    /// When.
    pub at: Instant,
}

/// Where the task of a slot stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The newest result of exactly this task, however old.
    pub latest: Option<Finished>,
    /// It is queued or running (again).
    pub pending: bool,
    /// What it has done since it was first queued.
    pub done: Amount,
}

/// How much a long task has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Objects that were deleted, or read.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

impl Amount {
    pub(super) const fn and(self, more: Self) -> Self {
        Self {
            objects: self.objects.saturating_add(more.objects),
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) spec: TaskSpec,
    pub(super) endpoint: String,
    pub(super) stage: Stage,
    pub(super) attempts: u32,
    /// In turns that are over.
    pub(super) done: Amount,
    /// In the turn that is running.
    pub(super) turn: Amount,
    /// The key up to which all is done; the next turn goes on behind it.
    pub(super) done_to: String,
    pub(super) latest: Option<Finished>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Queued,
    Running { worker: WorkerId, overdue: Instant },
}
