use std::collections::VecDeque;

use dlf_wire::nodes::v1::PodRef;
use dlf_wire::writes::v1::{Loss, loss};

use super::NodeName;
use crate::nodes::limits::NAMED_FILES_MAX;

/// Between two rounds of events about one dataset: a program that fails with each of its files fills
/// no list of events.
const ROUND_MS: u64 = 15 * 1000;
/// Entries of one round, each for the pods of one mount.
const ROUND_MAX: usize = 8;
/// Entries of one dataset that wait for a round: where so many of its mounts lose files, condition and
/// metrics say it.
const UNREPORTED_MAX: usize = 256;
/// The same of all datasets; 10 KiB each at most. Beyond it nothing new is named in events.
pub(super) const UNREPORTED_OF_ALL_MAX: usize = 4096;

/// What became of files that the source does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They were refused, for a reason of this class.
    Refused(String),
    /// The signal of this number ended their writer.
    Killed(u32),
    /// Somebody else replaced them meanwhile.
    Conflict,
}

impl Fate {
    pub(super) fn of(loss: &Loss) -> Option<Self> {
        Some(match loss.cause.as_ref()? {
            loss::Cause::Refused(reason) => Self::Refused(reason.clone()),
            loss::Cause::Killed(signal) => Self::Killed(*signal),
            loss::Cause::Conflict(_) => Self::Conflict,
        })
    }
}

/// One of these files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its path in the dataset.
    pub path: String,
    /// The name under which its node keeps it for a while; "": it does not.
    pub kept: String,
}

/// Files of one mount with the same fate, of which no event was written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreportedLoss {
    /// Where.
    pub node: NodeName,
    /// Who uses the mount.
    pub pods: Vec<PodRef>,
    /// What became of them.
    pub fate: Fate,
    /// How many.
    pub files: u64,
    /// The first of them.
    pub named: Vec<Named>,
}

/// What waits for a round of events, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<UnreportedLoss>,
    round_ms: u64,
}

impl Queue {
    pub(super) fn push(&mut self, new: UnreportedLoss) {
        let same = |old: &&mut UnreportedLoss| {
            (&old.node, &old.pods, &old.fate) == (&new.node, &new.pods, &new.fate)
        };
        if let Some(old) = self.waiting.iter_mut().find(same) {
            old.files = old.files.saturating_add(new.files);
            let room = NAMED_FILES_MAX.saturating_sub(old.named.len());
            old.named.extend(new.named.into_iter().take(room));
        } else if self.waiting.len() < UNREPORTED_MAX {
            self.waiting.push_back(new);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What is to be told now, and in how many milliseconds the rest is.
    pub(super) fn take(&mut self, now_ms: u64) -> (Vec<UnreportedLoss>, Option<u64>) {
        if self.waiting.is_empty() {
            return (Vec::new(), None);
        }
        let rest = self.round_ms.saturating_sub(now_ms).min(ROUND_MS);
        if rest > 0 {
            return (Vec::new(), Some(rest));
        }
        let count = self.waiting.len().min(ROUND_MAX);
        let round = self.waiting.drain(..count).collect();
        self.round_ms = now_ms.saturating_add(ROUND_MS);
        (round, (!self.waiting.is_empty()).then_some(ROUND_MS))
    }
}
