//! Queues of names to look at again.

use std::{
    convert::Infallible,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dlf_core::api::ApiGroup;
use futures::Stream;
use kube::{Resource, runtime::reflector::ObjectRef};
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
    queue: Mutex<Queue<T>>,
    filled: Notify,
}

#[derive(Debug)]
struct Queue<T> {
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
        let queue = Queue {
            names: OnceQueue::default(),
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

impl<T: Clone + Eq + Hash> Waker<T> {
    /// Has `name` looked at.
    pub fn wake(&self, name: &T) {
        if self.lock().names.push(name) {
            self.shared.filled.notify_one();
        }
    }

    /// Ends the stream once it is empty.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.filled.notify_one();
    }

    /// The next name; none after [`Self::close`]. Meant for one reader.
    pub async fn next(&self) -> Option<T> {
        loop {
            {
                let mut queue = self.lock();
                if let Some(name) = queue.names.pop() {
                    return Some(name);
                }
                if queue.closed {
                    return None;
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

impl Waker<Name> {
    /// The names as references to objects of a group.
    pub fn references<K>(
        &self,
        group: ApiGroup,
    ) -> impl Stream<Item = Result<ObjectRef<K>, Infallible>> + Send + use<K>
    where
        K: Resource<DynamicType = ApiGroup> + Send + 'static,
    {
        let waker = self.clone();
        futures::stream::unfold((waker, group), |(waker, group)| async move {
            let (namespace, name) = waker.next().await?;
            let reference = ObjectRef::new_with(&name, group).within(&namespace);
            Some((Ok(reference), (waker, group)))
        })
    }
}

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
        waker.close();
        assert_eq!(waker.next().await, Some("b"));
        assert_eq!(waker.next().await, Some("a"));
        assert_eq!(waker.next().await, None);
    }
}
