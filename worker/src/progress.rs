//! How far a long task is.

/// Tells how far a long task is, in objects. Called once a page, so it must not wait.
pub trait Progress: Send + Sync {
    /// `objects` are done now, of those of this task.
    fn report(&self, objects: u64);
}

impl<F: Fn(u64) + Send + Sync> Progress for F {
    fn report(&self, objects: u64) {
        self(objects);
    }
}
