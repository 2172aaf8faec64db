use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long ago this operator did or saw something of a dataset, by the handle of its volume.
#[derive(Clone, Debug, Default)]
pub struct Stopwatches {
    times: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Stopwatches {
    /// It is done now.
    pub fn restart(&self, handle: &str) {
        self.lock().insert(handle.to_owned(), Instant::now());
    }

    /// How long ago it was done last; it is done now if it never was.
    #[must_use]
    pub fn elapsed(&self, handle: &str) -> Duration {
        let mut times = self.lock();
        let first = times.entry(handle.to_owned());
        first.or_insert_with(Instant::now).elapsed()
    }

    /// The dataset has gone.
    pub fn forget(&self, handle: &str) {
        self.lock().remove(handle);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
