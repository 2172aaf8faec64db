//! One lock a key: work on one target waits for its lock, work on others does not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Keeps the lock of one key. Move it into work that outlives its caller.
pub type KeyGuard = OwnedMutexGuard<()>;

/// Locks that come and go with their keys.
#[derive(Debug)]
pub struct KeyedLocks<K> {
    by_key: Mutex<HashMap<K, Weak<AsyncMutex<()>>>>,
}

impl<K> Default for KeyedLocks<K> {
    fn default() -> Self {
        Self {
            by_key: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq> KeyedLocks<K> {
    /// Waits, in order of arrival, until nobody else works on `key`.
    pub async fn lock(&self, key: K) -> KeyGuard {
        self.lock_of(key).lock_owned().await
    }

    fn lock_of(&self, key: K) -> Arc<AsyncMutex<()>> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        // Some hundred entries at most: as many as calls under way.
        by_key.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = by_key.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(AsyncMutex::new(()));
        by_key.insert(key, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_key_waits_and_another_does_not() {
        let locks = KeyedLocks::default();
        let first = locks.lock("a").await;
        let _other = locks.lock("b").await;
        let second = locks.lock_of("a");
        assert!(second.try_lock().is_err());
        drop(first);
        assert!(second.try_lock().is_ok());
    }

    #[tokio::test]
    async fn unused_locks_are_forgotten() {
        let locks = KeyedLocks::default();
        drop(locks.lock("a").await);
        let _guard = locks.lock("b").await;
        assert_eq!(locks.by_key.lock().unwrap().len(), 1);
    }
}
