//! Numbers for what the kernel has open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fuser::Errno;

/// Open files or open directories of a mount. As many as the consumers' own limits allow.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Arc<T>>>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self {
            last: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }
}

impl<T> Handles<T> {
    pub(crate) fn insert(&self, item: T) -> u64 {
        let handle = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(handle, Arc::new(item));
        handle
    }

    /// `EBADF` for a handle that is not open.
    pub(crate) fn get(&self, handle: u64) -> Result<Arc<T>, Errno> {
        self.lock().get(&handle).cloned().ok_or(Errno::EBADF)
    }

    pub(crate) fn remove(&self, handle: u64) -> Result<Arc<T>, Errno> {
        self.lock().remove(&handle).ok_or(Errno::EBADF)
    }

    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
