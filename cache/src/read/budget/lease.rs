//! What somebody has of the budget.

use std::sync::Arc;

use bytes::Bytes;

use super::Budget;
use super::shares::{BudgetUsage, Purpose};

/// A part of a [`Budget`], which is given back when this is dropped.
#[derive(Debug)]
#[must_use = "what is dropped is given back"]
pub struct Lease {
    budget: Arc<Budget>,
    purpose: Purpose,
    bytes: usize,
}

impl Lease {
    /// Counts `bytes`; the caller has asked whether they fit.
    pub(super) fn take(
        budget: &Arc<Budget>,
        usage: &mut BudgetUsage,
        purpose: Purpose,
        bytes: usize,
    ) -> Self {
        *usage.of(purpose) += bytes;
        Self {
            budget: Arc::clone(budget),
            purpose,
            bytes,
        }
    }

    /// How much it is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Takes another one in.
    ///
    /// # Panics
    ///
    /// If that one is of another budget or for something else.
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.budget, &other.budget) && self.purpose == other.purpose,
            "leases of one budget and for one purpose can be merged"
        );
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Parts with so many bytes; `None`, and nothing has changed, if it has fewer.
    pub fn split(&mut self, bytes: usize) -> Option<Self> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(Self {
            budget: Arc::clone(&self.budget),
            purpose: self.purpose,
            bytes,
        })
    }

    /// What was written is on its way now: the same memory counts as an upload.
    ///
    /// It needs no turn, since the memory is there already. Any other lease stays as it is.
    pub fn into_upload(mut self) -> Self {
        if self.purpose == Purpose::Draft {
            let mut state = self.budget.state();
            *state.usage.of(Purpose::Draft) -= self.bytes;
            *state.usage.of(Purpose::Upload) += self.bytes;
            drop(state);
            self.purpose = Purpose::Upload;
            // Drafts may be had of what others wait for.
            self.budget.freed();
        }
        self
    }

    /// The same bytes; this is given back with the last clone of them.
    #[must_use]
    pub fn cover(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Covered {
            bytes,
            _lease: self,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.budget.state().usage.of(self.purpose) -= self.bytes;
        if self.purpose == Purpose::Arrived {
            self.budget.taken.notify_all();
        }
        self.budget.freed();
    }
}

/// Bytes, and the memory they are in.
struct Covered {
    bytes: Bytes,
    _lease: Lease,
}

impl AsRef<[u8]> for Covered {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
