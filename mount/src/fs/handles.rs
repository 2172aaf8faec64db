//! What the kernel has open: files and directories, by their handle's number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dlf_cache::Reader;
use fuser::Errno;

use super::body::Body;
use super::names::Version;

/// One open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) ino: u64,
    pub(crate) writable: bool,
    /// Opened with `O_APPEND`: the kernel's idea of where the end is may be old.
    pub(crate) append: bool,
    /// What is read through this handle, where the inode may come to stand for something else.
    pub(crate) version: Option<Version>,
    /// Where writes of this handle go; `None` before the first.
    body: Mutex<Option<Arc<Body>>>,
    /// Of the last close of one of its descriptors.
    closed: AtomicU64,
    /// Whether the handle was written through since.
    written: AtomicBool,
    pub(crate) reader: Reader,
}

impl OpenFile {
    pub(crate) fn new(ino: u64, reader: Reader) -> Self {
        Self {
            ino,
            writable: false,
            append: false,
            version: None,
            body: Mutex::default(),
            closed: AtomicU64::new(0),
            written: AtomicBool::new(false),
            reader,
        }
    }

    pub(crate) fn body(&self) -> Option<Arc<Body>> {
        let body = self.body.lock();
        body.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_body(&self, body: Arc<Body>) {
        let mut own = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        *own = Some(body);
    }

    /// Something was written after the last close of a descriptor.
    pub(crate) fn wrote(&self) {
        self.written.store(true, Ordering::Release);
    }

    /// A descriptor was closed, as the `ticket`th change of this mount.
    pub(crate) fn closing(&self, ticket: u64) {
        self.closed.store(ticket, Ordering::Release);
        self.written.store(false, Ordering::Release);
    }

    /// The last close of a descriptor, if that was the last that happened to the file: a store to
    /// a mapped file may come after it.
    pub(crate) fn last_close(&self) -> Option<u64> {
        let closed = self.closed.load(Ordering::Acquire);
        (closed > 0 && !self.written.load(Ordering::Acquire)).then_some(closed)
    }
}

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
