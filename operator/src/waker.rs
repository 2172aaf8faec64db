//! Names to look at again.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::once::OnceQueue;

/// Names to look at again, each at most once however often it was woken: bounded by the number of
/// objects, and a slow reader misses nothing but intermediate states.
#[derive(Debug)]
pub struct Waker<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    filled: Notify,
}

#[derive(Debug)]
struct State<T> {
    names: OnceQueue<T>,
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
        let state = State {
            names: OnceQueue::default(),
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                filled: Notify::new(),
            }),
        }
    }
}

impl<T: Clone + Eq + Hash> Waker<T> {
    /// Has `name` looked at.
    pub fn wake(&self, name: &T) {
        if self.lock().names.push(name) {
            self.shared.filled.notify_one();
        }
    }

    /// Ends it: what waits is looked at no more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.filled.notify_one();
    }

    /// The next name; none after [`Self::close`]. Meant for one reader.
    pub async fn next(&self) -> Option<T> {
        loop {
            {
                let mut state = self.lock();
                if state.closed {
                    return None;
                }
                if let Some(next) = state.names.pop() {
                    return Some(next);
                }
            }
            self.shared.filled.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// News that nodes and workers have of datasets, by the handle of their volume. What the news is, is
/// asked of the registry and of the tasks.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Who uses it, and where.
    pub usage: Waker<Arc<str>>,
    /// What nodes work with, what mounts could not write, what a worker found out.
    pub reports: Waker<Arc<str>>,
}

/// A namespace and a name.
pub type Name = (String, String);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_queued_once_until_it_is_taken() {
        let waker = Waker::default();
        for name in ["a", "b", "a"] {
            waker.wake(&name);
        }
        assert_eq!(waker.next().await, Some("a"));
        waker.wake(&"a");
        assert_eq!(waker.next().await, Some("b"));
        assert_eq!(waker.next().await, Some("a"));
        waker.wake(&"a");
        waker.close();
        assert_eq!(waker.next().await, None);
    }
}
