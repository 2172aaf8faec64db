//! Queues of names to look at again.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::once::OnceQueue;

/// Of so many that are looked at soon, one that could wait is next: it waits, and not for ever.
const OVERTAKING_MAX: u32 = 3;

/// Whom a name may overtake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for what becomes of it.
    Soon,
    /// News of how something is used, which comes for thousands at once.
    Later,
}

/// Names to look at again, each at most once of either urgency however often it was woken: bounded by
/// the number of objects, and a slow reader misses nothing but intermediate states.
#[derive(Debug)]
pub struct Waker<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<Queue<T>>,
    filled: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    soon: OnceQueue<T>,
    later: OnceQueue<T>,
    /// How many went before those that can wait since one of them was next.
    overtook: u32,
    closed: bool,
}

impl<T> Clone for Waker<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Default for Waker<T> {
    fn default() -> Self {
        let queue = Queue {
            soon: OnceQueue::default(),
            later: OnceQueue::default(),
            overtook: 0,
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(queue),
                filled: Notify::new(),
            }),
        }
    }
}

impl<T: Clone + Eq + Hash> Queue<T> {
    /// True if this is news. A name that can wait and then hurries stands in both lines.
    fn push(&mut self, name: &T, urgency: Urgency) -> bool {
        match urgency {
            Urgency::Soon => self.soon.push(name),
            Urgency::Later => !self.soon.contains(name) && self.later.push(name),
        }
    }

    fn pop(&mut self) -> Option<(T, Urgency)> {
        let may_overtake = self.later.is_empty() || self.overtook < OVERTAKING_MAX;
        if may_overtake && let Some(name) = self.soon.pop() {
            self.overtook += 1;
            return Some((name, Urgency::Soon));
        }
        self.overtook = 0;
        let name = self.later.pop()?;
        Some((name, Urgency::Later))
    }
}

impl<T: Clone + Eq + Hash> Waker<T> {
    /// Has `name` looked at.
    pub fn wake(&self, name: &T, urgency: Urgency) {
        if self.lock().push(name, urgency) {
            self.shared.filled.notify_one();
        }
    }

    /// Ends the line: who waits in it is looked at no more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.filled.notify_one();
    }

    /// The next name and how it was woken; none after [`Self::close`]. Meant for one reader.
    pub async fn next(&self) -> Option<(T, Urgency)> {
        loop {
            {
                let mut queue = self.lock();
                if queue.closed {
                    return None;
                }
                if let Some(next) = queue.pop() {
                    return Some(next);
                }
            }
            self.shared.filled.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        let queue = self.shared.queue.lock();
        queue.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Datasets that nodes or workers have news of, by the handle of their volume. What the news is, is asked
/// of the registry and of the tasks.
pub type Changes = Waker<Arc<str>>;

/// A namespace and a name.
pub type Name = (String, String);

#[cfg(test)]
mod tests {
    use super::*;

    /// Those who wait, in the order in which they are looked at.
    fn order(waker: &Waker<&'static str>) -> String {
        let mut queue = waker.lock();
        std::iter::from_fn(|| queue.pop())
            .map(|(name, _)| name)
            .collect()
    }

    #[tokio::test]
    async fn a_name_is_queued_once_until_it_is_taken() {
        let waker = Waker::default();
        for name in ["a", "b", "a"] {
            waker.wake(&name, Urgency::Soon);
        }
        assert_eq!(waker.next().await, Some(("a", Urgency::Soon)));
        waker.wake(&"a", Urgency::Soon);
        assert_eq!(order(&waker), "ba");
        waker.wake(&"a", Urgency::Soon);
        waker.close();
        assert_eq!(waker.next().await, None);
    }

    #[test]
    fn what_is_urgent_overtakes_what_can_wait_and_never_all_of_it() {
        let waker = Waker::default();
        for name in ["x", "y", "z"] {
            waker.wake(&name, Urgency::Later);
        }
        for name in ["a", "b", "c", "d", "e"] {
            waker.wake(&name, Urgency::Soon);
        }
        assert_eq!(order(&waker), "abcxdeyz");
    }

    #[tokio::test]
    async fn a_name_that_begins_to_hurry_does() {
        let waker = Waker::default();
        for name in ["x", "y"] {
            waker.wake(&name, Urgency::Later);
        }
        waker.wake(&"y", Urgency::Soon);
        waker.wake(&"y", Urgency::Later);
        assert_eq!(waker.next().await, Some(("y", Urgency::Soon)));
        assert_eq!(order(&waker), "xy");
    }
}
