//! What mounts of one dataset wrote and its source does not have.

use std::collections::{BTreeMap, HashMap};

use dlf_wire::nodes::v1::MountWrites;
use dlf_wire::writes::v1::{Refusing, Writes};

use super::unreported::{Fate, Named, Queue, UnreportedLoss};
use super::{NodeName, Registry};
use crate::nodes::limits::NAMED_FILES_MAX;

/// How long the refusal of a mount that has gone still counts: as long as nodes keep files, for who
/// comes back to a job that has ended.
const GONE_MS_MAX: u64 = 60 * 60 * 1000;
/// What a new leader hears of a mount and happened longer ago than this, the leader before has told.
const RETOLD_MS_MAX: u64 = 2 * 60 * 1000;

/// Mounts of one dataset on a node that are remembered, those included that have gone: a driver that
/// has just started knows less than the one before, and what was told is not to be told again.
const MOUNTS_MAX: usize = 32;

/// How many files, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The source or the node refused them.
    pub refused: u64,
    /// Their writer was killed.
    pub killed: u64,
    /// Somebody else replaced them meanwhile.
    pub conflicts: u64,
    /// Of all these, those that their node keeps for a while.
    pub kept: u64,
}

impl Lost {
    fn zip(self, other: Self, op: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            refused: op(self.refused, other.refused),
            killed: op(self.killed, other.killed),
            conflicts: op(self.conflicts, other.conflicts),
            kept: op(self.kept, other.kept),
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        *self = self.zip(more, u64::saturating_add);
    }

    const fn files(&self) -> u64 {
        let some = self.refused.saturating_add(self.killed);
        some.saturating_add(self.conflicts)
    }

    /// How many of them had such a fate.
    const fn with(&self, fate: &Fate) -> u64 {
        match fate {
            Fate::Refused(_) => self.refused,
            Fate::Killed(_) => self.killed,
            Fate::Conflict => self.conflicts,
        }
    }
}

impl From<&Writes> for Lost {
    fn from(writes: &Writes) -> Self {
        Self {
            refused: writes.refused,
            killed: writes.killed,
            conflicts: writes.conflicts,
            kept: writes.kept,
        }
    }
}

/// That a dataset's source does not take what pods write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Class of the refusals that most files met.
    pub reason: String,
    /// The source's own word for them; empty if it gave none.
    pub code: String,
    /// Milliseconds since 1970, by a node's clock: when the first was refused.
    pub since_ms: u64,
    /// Files since then.
    pub files: u64,
    /// Some of them, in order.
    pub paths: Vec<String>,
}

/// Of one dataset, by node and mount.
#[derive(Debug, Default)]
pub(super) struct Losses {
    nodes: HashMap<NodeName, BTreeMap<String, Mount>>,
    pub(super) unreported: Queue,
}

#[derive(Debug, Default)]
struct Mount {
    epoch: u64,
    counted: Lost,
    refusing: Option<Refusing>,
    accepting: bool,
    /// False: it has gone, or its driver has just started.
    lives: bool,
    /// When its node spoke of it last; 0: never.
    reported_ms: u64,
}

impl Losses {
    /// Takes over all that a node has to tell; gives what was lost since it told last, and whether
    /// anything changed. `inherited`: the leader before may have been told.
    pub(super) fn report(
        &mut self,
        node: &NodeName,
        all: Vec<MountWrites>,
        inherited: bool,
        now_ms: u64,
    ) -> (Lost, bool) {
        if all.is_empty() && !self.nodes.contains_key(node) {
            return (Lost::default(), false);
        }
        let mounts = self.nodes.entry(node.clone()).or_default();
        for (id, mount) in mounts.iter_mut() {
            mount.lives = all.iter().any(|reported| reported.mount_id == *id);
        }
        let (mut lost, mut changed) = (Lost::default(), false);
        for MountWrites {
            mount_id,
            writes,
            pods,
        } in all
        {
            let writes = writes.unwrap_or_default();
            let mount = mounts.entry(mount_id).or_default();
            let recovered = writes.accepting && !mount.accepting;
            let other = mount.refusing != writes.refusing;
            let unreported = mount.unreported(&writes, inherited, now_ms);
            changed |= recovered || other || !unreported.is_empty();
            for (fate, files, named) in unreported {
                self.unreported.push(UnreportedLoss {
                    node: node.clone(),
                    pods: pods.clone(),
                    fate,
                    files,
                    named,
                });
            }
            lost.add(mount.take(writes, inherited, now_ms));
            if recovered {
                // The node's next job can write: what an earlier one could not is over.
                let gone = mounts.values_mut().filter(|mount| !mount.lives);
                gone.for_each(|mount| mount.refusing = None);
            }
        }
        while mounts.len() > MOUNTS_MAX {
            let oldest = mounts.iter().min_by_key(|(_, mount)| mount.reported_ms);
            let oldest = oldest.map(|(id, _)| id.clone()).unwrap_or_default();
            mounts.remove(&oldest);
        }
        (lost, changed)
    }

    /// The refusals that count; those of mounts that `is_linked` does not know have gone.
    fn refused(&mut self, is_linked: impl Fn(&NodeName) -> bool, now_ms: u64) -> Option<Refused> {
        let mut reasons: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut sum = Refused {
            since_ms: u64::MAX,
            ..Refused::default()
        };
        for (node, mounts) in &mut self.nodes {
            let linked = is_linked(node);
            mounts.retain(|_, mount| {
                let lives = linked && mount.lives;
                lives || mount.reported_ms.saturating_add(GONE_MS_MAX) > now_ms
            });
            for refusing in mounts.values().filter_map(|mount| mount.refusing.as_ref()) {
                let said = (refusing.reason.clone(), refusing.code.clone());
                let files = reasons.entry(said).or_default();
                *files = files.saturating_add(refusing.files);
                sum.since_ms = sum.since_ms.min(refusing.since_ms);
                sum.files = sum.files.saturating_add(refusing.files);
                sum.paths.extend(refusing.paths.iter().cloned());
            }
        }
        self.nodes.retain(|_, mounts| !mounts.is_empty());
        let ((reason, code), _) = reasons.into_iter().max_by_key(|(_, files)| *files)?;
        sum.paths.sort();
        sum.paths.dedup();
        sum.paths.truncate(NAMED_FILES_MAX);
        Some(Refused {
            reason,
            code,
            ..sum
        })
    }

    /// There are other keys, or another place: what mounts that have gone could not write says
    /// nothing any more. True if that changes anything.
    pub(super) fn reconfigured(&mut self, is_linked: impl Fn(&NodeName) -> bool) -> bool {
        let mut changed = false;
        for (node, mounts) in &mut self.nodes {
            let linked = is_linked(node);
            let gone = mounts.values_mut().filter(|mount| !(linked && mount.lives));
            gone.for_each(|mount| changed |= mount.refusing.take().is_some());
        }
        changed
    }
}

impl Mount {
    /// Whether it is met for the first time by a leader whom another may have preceded.
    const fn is_taken_over(&self, inherited: bool) -> bool {
        inherited && self.reported_ms == 0
    }

    /// What was counted of this epoch.
    fn counted(&self, writes: &Writes) -> Lost {
        if self.epoch == writes.epoch {
            self.counted
        } else {
            Lost::default()
        }
    }

    /// What is new, by fate: how many files, and the first of them.
    fn unreported(
        &self,
        writes: &Writes,
        inherited: bool,
        now_ms: u64,
    ) -> Vec<(Fate, u64, Vec<Named>)> {
        let (taken_over, before) = (self.is_taken_over(inherited), self.counted(writes));
        let more = Lost::from(writes).zip(before, u64::saturating_sub);
        let mut found: Vec<(Fate, u64, Vec<Named>)> = Vec::new();
        for loss in &writes.losses {
            let is_new = if taken_over {
                loss.at_ms.saturating_add(RETOLD_MS_MAX) > now_ms
            } else {
                loss.number > before.files()
            };
            let Some(fate) = Fate::of(loss).filter(|_| is_new) else {
                continue;
            };
            let place = found.iter().position(|(known, ..)| *known == fate);
            let place = place.unwrap_or_else(|| {
                found.push((fate, 0, Vec::new()));
                found.len() - 1
            });
            let (_, files, named) = &mut found[place];
            *files += 1;
            if named.len() < NAMED_FILES_MAX {
                named.push(Named {
                    path: loss.path.clone(),
                    kept: loss.kept.clone(),
                });
            }
        }
        // Of a crowd only the newest were told one by one, and they alone tell the fate.
        if let ([(fate, files, _)], false) = (&mut found[..], taken_over) {
            *files = (*files).max(more.with(fate));
        }
        found
    }

    fn take(&mut self, writes: Writes, inherited: bool, now_ms: u64) -> Lost {
        let now = Lost::from(&writes);
        let lost = if self.is_taken_over(inherited) {
            Lost::default()
        } else {
            now.zip(self.counted(&writes), u64::saturating_sub)
        };
        *self = Self {
            epoch: writes.epoch,
            counted: now,
            refusing: writes.refusing,
            accepting: writes.accepting,
            lives: true,
            reported_ms: now_ms,
        };
        lost
    }
}

impl Registry {
    /// Whether the source of `handle` refuses what mounts write, as far as nodes have told.
    pub fn refused(&mut self, handle: &str, now_ms: u64) -> Option<Refused> {
        let dataset = self.datasets.get_mut(handle)?;
        let links = &dataset.links;
        dataset
            .losses
            .refused(|node| links.contains_key(node), now_ms)
    }

    /// What is to be told now of files of `handle` that the source does not have, and in how many
    /// milliseconds the rest is.
    pub fn unreported(&mut self, handle: &str, now_ms: u64) -> (Vec<UnreportedLoss>, Option<u64>) {
        let Some(dataset) = self.datasets.get_mut(handle) else {
            return (Vec::new(), None);
        };
        let (round, rest) = dataset.losses.unreported.take(now_ms);
        self.unreported -= round.len();
        (round, rest)
    }

    /// What of all datasets was lost since this operator leads.
    #[must_use]
    pub const fn lost(&self) -> Lost {
        self.lost
    }
}
