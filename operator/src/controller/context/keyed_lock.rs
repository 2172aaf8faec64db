//! One reconcile of a name at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// A lock for each name that somebody holds or waits for.
#[derive(Clone, Debug, Default)]
pub struct KeyedLock {
    locks: Arc<Mutex<HashMap<(String, String), Lock>>>,
}

type Lock = Arc<tokio::sync::Mutex<()>>;

impl KeyedLock {
    /// Waits for the lock of a name, which is held until the guard is dropped.
    pub async fn lock(&self, namespace: &str, name: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            let key = (namespace.to_owned(), name.to_owned());
            Arc::clone(locks.entry(key).or_default())
        };
        lock.lock_owned().await
    }
}
