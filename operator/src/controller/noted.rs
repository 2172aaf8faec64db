use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// When something was last written of a dataset by this operator, by the handle of its volume. A
/// dataset that goes is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    times: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Noted {
    /// It was written now.
    pub fn now(&self, handle: &str) {
        self.lock().insert(handle.to_owned(), Instant::now());
    }

    /// How long ago it was written; none: not since this operator leads.
    #[must_use]
    pub fn ago(&self, handle: &str) -> Option<Duration> {
        self.lock().get(handle).map(Instant::elapsed)
    }

    /// The dataset has gone.
    pub fn forget(&self, handle: &str) {
        self.lock().remove(handle);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
