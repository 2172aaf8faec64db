//! One lock a key: work on one target waits for its turn, work on others does not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard};

/// Held while it is somebody's turn. Move it into work that outlives its caller.
pub type Turn = OwnedMutexGuard<()>;

/// Locks that come and go with their keys.
#[derive(Debug)]
pub struct Locks<K> {
    by_key: Mutex<HashMap<K, Weak<TurnMutex<()>>>>,
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self {
            by_key: Mutex::default(),
        }
    }
}

impl<K: Hash + Eq> Locks<K> {
    /// Waits, in order of arrival, until nobody else works on `key`.
    pub async fn turn(&self, key: K) -> Turn {
        self.lock_of(key).lock_owned().await
    }

    fn lock_of(&self, key: K) -> Arc<TurnMutex<()>> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        // Some hundred entries at most: as many as calls under way.
        by_key.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = by_key.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(TurnMutex::new(()));
        by_key.insert(key, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_key_waits_and_another_does_not() {
        let locks = Locks::default();
        let first = locks.turn("a").await;
        let _other = locks.turn("b").await;
        let second = locks.lock_of("a");
        assert!(second.try_lock().is_err());
        drop(first);
        assert!(second.try_lock().is_ok());
    }

    #[tokio::test]
    async fn unused_locks_are_forgotten() {
        let locks = Locks::default();
        drop(locks.turn("a").await);
        let _held = locks.turn("b").await;
        assert_eq!(locks.by_key.lock().unwrap().len(), 1);
    }
}
