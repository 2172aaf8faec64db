//! Who may have how much of the mounter's memory: pure.

use std::collections::BTreeMap;

use dlf_cache::Budget;

const MIB: u64 = 1024 * 1024;

/// What the mounter itself takes, with the pages of the programs, which all children share: measured
/// 12 MiB. The rest is for one upload beyond its child's quarter: of a file above 140 GiB, whose
/// parts have 64 MiB.
const MOUNTER_BYTES: u64 = 64 * MIB;

/// What a child takes beside its budget: threads, connections and their buffers, tables, a second
/// copy of a part that comes from the disk, and what the allocator keeps. Measured 39 MiB of each of
/// three that read and wrote as hard as they could with the least budget.
const CHILD_BYTES: u64 = 40 * MIB;

/// What a child with s3fs takes in all.
const FIXED_BYTES: u64 = 64 * MIB;

/// And as this part of its budget: an eighth that replies always have, and what the allocator keeps
/// before it is made to give it back. Measured 282 to 295 MiB in all with 256, in five runs beside
/// programs that kept both cores busy.
const CHILD_DIVISOR: u64 = 4;

const BUDGET_MIN: u64 = Budget::MOUNT_BYTES_MIN as u64;

/// More makes no mount faster that we measured, and a node has other uses for it.
const BUDGET_MAX: u64 = Budget::MOUNT_BYTES_DEFAULT as u64;

/// Budgets are multiples of this, so that a child that comes or goes among many changes few.
const STEP: u64 = MIB;

/// Whether a child can be told how much it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Adjustable,
    Fixed,
}

impl Kind {
    /// The least that a child of this kind takes, in bytes.
    pub(super) fn bytes_min(self) -> u64 {
        match self {
            Self::Adjustable => with_the_rest(BUDGET_MIN),
            Self::Fixed => FIXED_BYTES,
        }
    }
}

/// A child that is to be told its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Due {
    pub(in super::super) id: u64,
    pub(in super::super) bytes: u64,
}

/// All shares, by a number for each child.
#[derive(Debug)]
pub(super) struct Shares {
    limit: u64,
    children: BTreeMap<u64, Share>,
    next_id: u64,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    kind: Kind,
    /// The budget that it is known to work with.
    acknowledged: u64,
    /// What its budget may hold by now: what it is told, or still more that is in use.
    reserved: u64,
    /// It cannot be told anything before.
    serves: bool,
}

impl Share {
    fn bytes(self) -> u64 {
        match self.kind {
            Kind::Adjustable => with_the_rest(self.reserved),
            Kind::Fixed => FIXED_BYTES,
        }
    }
}

impl Shares {
    /// Nobody has anything of `limit` bytes.
    pub(super) fn of(limit: u64) -> Self {
        Self {
            limit,
            children: BTreeMap::new(),
            next_id: 0,
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn count(&self) -> usize {
        self.children.len()
    }

    /// Takes a new child in; `None` if there is not enough for it now.
    pub(super) fn enter(&mut self, kind: Kind) -> Option<u64> {
        let free = self.free();
        if kind.bytes_min() > free {
            return None;
        }
        let budget = self.fair_among(1).min(budget_in(spare(free)));
        let budget = budget.max(BUDGET_MIN);
        let share = Share {
            kind,
            acknowledged: budget,
            reserved: budget,
            serves: false,
        };
        let id = self.next_id;
        self.next_id += 1;
        self.children.insert(id, share);
        Some(id)
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.children.remove(&id);
    }

    pub(super) fn serves(&mut self, id: u64) {
        if let Some(share) = self.children.get_mut(&id) {
            share.serves = true;
        }
    }

    /// A child's budget, in bytes; none if it is not adjustable.
    pub(super) fn budget(&self, id: u64) -> Option<u64> {
        let share = self.children.get(&id)?;
        (share.kind == Kind::Adjustable).then_some(share.acknowledged)
    }

    /// Whose budget is to be another: those that have too much, and then those for which there is
    /// more now. What is handed out counts from here on, what is to come back only when it has.
    pub(super) fn due(&mut self) -> Vec<Due> {
        let fair = self.fair_among(0);
        let mut due = Vec::new();
        for id in self.adjustable() {
            let share = self.children[&id];
            let bytes = if share.reserved > fair {
                fair
            } else {
                // Beside what it has for the rest already.
                let more = budget_in(spare(self.free()) + CHILD_BYTES) / STEP * STEP;
                fair.min(share.reserved + more)
            };
            if bytes != share.acknowledged || bytes < share.reserved {
                self.reserve(id, bytes.max(share.reserved));
                due.push(Due { id, bytes });
            }
        }
        due
    }

    /// A child has taken its budget over, and so many bytes are in use.
    pub(super) fn taken(&mut self, due: Due, in_use: u64) {
        self.reserve(due.id, due.bytes.max(in_use));
        if let Some(share) = self.children.get_mut(&due.id) {
            share.acknowledged = due.bytes;
        }
    }

    /// Whether everybody knows its share, and nobody has more.
    pub(super) fn is_settled(&self) -> bool {
        let fair = self.fair_among(0);
        let mut shares = self.adjustable().into_iter().map(|id| self.children[&id]);
        shares.all(|share| share.reserved <= fair && share.acknowledged == share.reserved)
    }

    /// Those that can be told something.
    fn adjustable(&self) -> Vec<u64> {
        let children = self.children.iter();
        let adjustable =
            children.filter(|(_, share)| share.kind == Kind::Adjustable && share.serves);
        adjustable.map(|(id, _)| *id).collect()
    }

    fn reserve(&mut self, id: u64, budget: u64) {
        if let Some(share) = self.children.get_mut(&id) {
            share.reserved = budget;
        }
    }

    /// What nobody has.
    fn free(&self) -> u64 {
        let taken: u64 = self.children.values().map(|share| share.bytes()).sum();
        self.limit.saturating_sub(MOUNTER_BYTES + taken)
    }

    /// What each child's budget is to be, with so many new ones.
    fn fair_among(&self, new: u64) -> u64 {
        let children = self.children.values();
        let fixed = children.filter(|share| share.kind == Kind::Fixed).count() as u64;
        let adjustable = self.children.len() as u64 - fixed + new;
        let taken = MOUNTER_BYTES + FIXED_BYTES * fixed;
        let each = spare(self.limit.saturating_sub(taken)) / adjustable.max(1);
        (budget_in(each) / STEP * STEP).clamp(BUDGET_MIN, BUDGET_MAX)
    }
}

/// What of this may be handed out: a place for another child stays, so that it need not wait until
/// others gave back.
fn spare(free: u64) -> u64 {
    free.saturating_sub(Kind::Adjustable.bytes_min())
}

/// What a child with this budget takes in all.
fn with_the_rest(budget: u64) -> u64 {
    budget + budget / CHILD_DIVISOR + CHILD_BYTES
}

/// The budget of a child that takes so much in all.
fn budget_in(bytes: u64) -> u64 {
    bytes.saturating_sub(CHILD_BYTES) / (CHILD_DIVISOR + 1) * CHILD_DIVISOR
}

#[cfg(test)]
mod tests;
