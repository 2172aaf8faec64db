//! Which datasets a controller is to look at again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use tokio::sync::Notify;

use super::once::OnceQueue;
use super::registry::Handle;

/// Datasets that a controller should look at again, each at most once however often it changed: so
/// it is bounded by the number of datasets, and a slow reader misses nothing but intermediate
/// states. What changed is asked of the registry and of the tasks.
#[derive(Debug, Default)]
pub struct Changes {
    queue: Mutex<OnceQueue>,
    filled: Notify,
}

impl Changes {
    /// Something about `handle` changed.
    pub fn push(&self, handle: &Handle) {
        if self.lock().push(handle) {
            self.filled.notify_one();
        }
    }

    /// The next dataset to look at. Meant for one reader.
    pub async fn next(&self) -> Handle {
        loop {
            let next = self.lock().pop();
            if let Some(handle) = next {
                return handle;
            }
            self.filled.notified().await;
        }
    }

    /// The same as a stream without end, for `Controller::reconcile_on`.
    pub fn stream(self: Arc<Self>) -> impl Stream<Item = Handle> + Send + 'static {
        futures::stream::unfold(self, |changes| async {
            let handle = changes.next().await;
            Some((handle, changes))
        })
    }

    fn lock(&self) -> MutexGuard<'_, OnceQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dataset_that_changes_twice_is_looked_at_once() {
        let changes = Changes::default();
        for handle in ["a", "b", "a"] {
            changes.push(&handle.into());
        }
        assert_eq!(changes.next().await.as_ref(), "a");
        assert_eq!(changes.next().await.as_ref(), "b");
        assert_eq!(changes.lock().pop(), None);
    }
}
