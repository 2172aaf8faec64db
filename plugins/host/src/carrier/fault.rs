use std::time::Duration;

use dlf_core::plugin::PlanError;
use thiserror::Error;

/// What a plugin did instead of answering.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// It does not run, or nothing answers where it should be.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It ended, or closed the connection, before it answered.
    #[error("it ended before it answered: {0}")]
    Ended(String),
    /// It took too long.
    #[error("it gave no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// It answered more than is read.
    #[error("its answer has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It answered what is no answer.
    #[error("its answer cannot be read: {0}")]
    Garbage(String),
    /// It has as many calls to answer as it may have.
    #[error("it has {0} calls to answer already")]
    Busy(usize),
    /// It failed so often that it is left alone for a while.
    #[error("it failed {failures} times in a row, the last time because {last}; it is asked again in {} s", .again_in.as_secs())]
    Open {
        /// Failures in a row.
        failures: u32,
        /// The last of them.
        last: String,
        /// When it is asked again.
        again_in: Duration,
    },
}

impl Fault {
    /// The class of the fault, for a condition's reason and a metric's label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "PluginUnreachable",
            Self::Ended(_) => "PluginCrashed",
            Self::Late(_) => "PluginTimeout",
            Self::TooLarge { .. } | Self::Garbage(_) => "PluginGarbage",
            Self::Busy(_) => "PluginBusy",
            Self::Open { .. } => "PluginUnavailable",
        }
    }

    /// For the condition of a dataset that the plugin should have planned.
    #[must_use]
    pub fn error(&self) -> PlanError {
        PlanError::new(self.reason(), self.to_string())
    }
}
