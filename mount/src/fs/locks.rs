//! Who may change what the source has at a key: one at a time for each key, and one for all keys
//! below a directory that is moved or removed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::key::Key;

/// Keys and prefixes that are being changed. As many as there are changes under way: hundreds.
#[derive(Debug, Default)]
pub(crate) struct KeyedLocks {
    locked: Mutex<Vec<Key>>,
    freed: Notify,
}

/// Keys that nobody else changes while this lives.
#[derive(Debug)]
pub(crate) struct KeyGuard {
    locks: Arc<KeyedLocks>,
    keys: Vec<Key>,
}

impl KeyedLocks {
    /// Waits until nobody changes any of `keys`; one that ends in a slash stands for all below it.
    /// All are taken at once, so two who want the same never wait for each other.
    pub(crate) async fn lock(self: &Arc<Self>, keys: Vec<Key>) -> KeyGuard {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on no release is missed.
            freed.as_mut().enable();
            {
                let mut locked = self.locked();
                if !locked
                    .iter()
                    .any(|taken| keys.iter().any(|key| taken.overlaps(key)))
                {
                    locked.extend(keys.iter().cloned());
                    return KeyGuard {
                        locks: self.clone(),
                        keys,
                    };
                }
            }
            freed.await;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Key>> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        let mut locked = self.locks.locked();
        for key in &self.keys {
            if let Some(at) = locked.iter().position(|taken| taken == key) {
                locked.swap_remove(at);
            }
        }
        drop(locked);
        self.locks.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
