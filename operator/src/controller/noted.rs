use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When something was done about a dataset by this operator, by the handle of its volume. A dataset
/// that goes is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    times: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Noted {
    /// It is done now.
    pub fn now(&self, handle: &str) {
        self.lock().insert(handle.to_owned(), Instant::now());
    }

    /// How long ago it was done last; it is done now if it never was.
    #[must_use]
    pub fn ago(&self, handle: &str) -> Duration {
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
