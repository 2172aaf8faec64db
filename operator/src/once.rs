use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

/// A line in which each stands at most once, and keeps its place.
#[derive(Debug)]
pub(crate) struct OnceQueue<T> {
    order: VecDeque<T>,
    members: HashSet<T>,
}

impl<T> Default for OnceQueue<T> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            members: HashSet::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> OnceQueue<T> {
    /// Puts one at the end unless it has a place; true if it had none.
    pub(crate) fn push(&mut self, one: &T) -> bool {
        let new = self.members.insert(one.clone());
        if new {
            self.order.push_back(one.clone());
        }
        new
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let one = self.order.pop_front()?;
        self.members.remove(&one);
        Some(one)
    }

    #[cfg(test)]
    pub(crate) fn contains(&self, one: &T) -> bool {
        self.members.contains(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_place_at_a_time() {
        let mut queue = OnceQueue::default();
        assert!(queue.push(&"a") && queue.push(&"b") && !queue.push(&"a"));
        assert_eq!(queue.pop(), Some("a"));
        assert!(queue.push(&"a"));
        assert_eq!(queue.pop(), Some("b"));
        assert_eq!(queue.pop(), Some("a"));
        assert_eq!(queue.pop(), None);
    }
}
