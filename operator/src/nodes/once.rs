use std::collections::{HashSet, VecDeque};

use super::registry::Handle;

/// A line in which each dataset stands at most once, and keeps its place.
#[derive(Debug, Default)]
pub(super) struct OnceQueue {
    order: VecDeque<Handle>,
    members: HashSet<Handle>,
}

impl OnceQueue {
    /// Puts a dataset at the end unless it has a place; true if it had none.
    pub(super) fn push(&mut self, handle: &Handle) -> bool {
        let new = self.members.insert(handle.clone());
        if new {
            self.order.push_back(handle.clone());
        }
        new
    }

    pub(super) fn pop(&mut self) -> Option<Handle> {
        let handle = self.order.pop_front()?;
        self.members.remove(&handle);
        Some(handle)
    }

    #[cfg(test)]
    pub(super) fn contains(&self, handle: &Handle) -> bool {
        self.members.contains(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_has_one_place_at_a_time() {
        let mut queue = OnceQueue::default();
        assert!(queue.push(&"a".into()) && queue.push(&"b".into()) && !queue.push(&"a".into()));
        assert_eq!(queue.pop().as_deref(), Some("a"));
        assert!(queue.push(&"a".into()));
        assert_eq!(queue.pop().as_deref(), Some("b"));
        assert_eq!(queue.pop().as_deref(), Some("a"));
        assert_eq!(queue.pop(), None);
    }
}
