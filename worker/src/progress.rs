//! How far a long task is.

/// What a long task has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Objects.
    pub objects: u64,
    /// Bytes of these; 0 where none were moved.
    pub bytes: u64,
    /// The key up to which everything is done; `""` where that has no meaning.
    pub done_to: String,
}

/// Tells how far a long task is. Called often, so it must not wait.
pub trait Progress: Send + Sync {
    /// This much is done now, of this task.
    fn report(&self, step: Step);
}

impl<F: Fn(Step) + Send + Sync> Progress for F {
    fn report(&self, step: Step) {
        self(step);
    }
}
