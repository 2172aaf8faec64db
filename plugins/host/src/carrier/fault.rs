use std::{fmt, time::Duration};

use dlf_core::plugin::{PlanError, Reply};
use jiff::{Timestamp, Unit};
use thiserror::Error;
use tokio::time::Instant;

use crate::metrics::Called;

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
    /// It has as many calls to answer as it may have, or they take too long.
    #[error("it has {0} calls to answer already")]
    Busy(usize),
    /// The process that runs it says what it did.
    #[error("{said}")]
    Told {
        /// Of what it did.
        class: Called,
        /// In a sentence.
        said: String,
    },
    /// Its plan for the same Dataset never came back, in a process that cannot end it.
    #[error("its last plan still runs, which {UNENDING}")]
    Runs,
    /// As many of its calls never came back as may, in a process that cannot end them.
    #[error("{0} of its calls still run, which {UNENDING}")]
    Spent(usize),
    /// It failed so often that it is left alone for a while.
    #[error(
        "it failed {failures} times in a row, the last time because {last}; it is asked again at {pause}"
    )]
    Open {
        /// Failures in a row.
        failures: u32,
        /// The last of them.
        last: String,
        /// Until when.
        pause: Pause,
    },
    /// It failed over one Dataset, which is left alone for a while.
    #[error("its plan for {dataset} failed{}: {last}; it is asked for again at {pause}", in_a_row(*times))]
    Of {
        /// The Dataset, as `NAMESPACE/NAME`.
        dataset: String,
        /// How often in a row.
        times: u32,
        /// What it did the last time.
        last: Box<Fault>,
        /// Until when.
        pause: Pause,
    },
}

/// What is to be done about calls that this process cannot end.
const UNENDING: &str = "this process cannot end: run the plugin isolated (docs/plugin-guide.md), or restart the \
                        operator once it is mended";

fn in_a_row(times: u32) -> String {
    match times {
        0 | 1 => String::new(),
        times => format!(" {times} times in a row"),
    }
}

/// Until when nobody asks, for programs and for people: a time stays true for whoever reads it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    until: Instant,
    shown: Timestamp,
}

impl Pause {
    /// From now on.
    #[must_use]
    pub fn of(length: Duration) -> Self {
        let now = Timestamp::now();
        Self {
            until: Instant::now() + length,
            shown: now.checked_add(length).unwrap_or(now),
        }
    }

    /// What is left of it; none once it is over.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    /// How long it has been over.
    pub(super) fn over_for(&self) -> Duration {
        self.until.elapsed()
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.round(Unit::Second).unwrap_or(self.shown).fmt(f)
    }
}

impl Fault {
    /// How it is counted.
    #[must_use]
    pub fn class(&self) -> Called {
        match self {
            Self::Unreachable(_) => Called::Unreachable,
            Self::Ended(_) => Called::Crashed,
            Self::Late(_) | Self::Runs => Called::Timeout,
            Self::TooLarge { .. } | Self::Garbage(_) => Called::Garbage,
            Self::Busy(_) => Called::Busy,
            Self::Told { class, .. } => *class,
            Self::Spent(_) | Self::Open { .. } => Called::Unavailable,
            Self::Of { last, .. } => last.class(),
        }
    }

    /// For the condition of a dataset that the plugin should have planned.
    #[must_use]
    pub fn error(&self) -> PlanError {
        let mut error = PlanError::new(self.class().reason(), self.to_string());
        if let Self::Open { pause, .. } | Self::Of { pause, .. } = self {
            error.again_in = pause.left();
        }
        error
    }

    /// What a reply says that the plugin did instead of answering, by the process that runs it.
    pub(super) fn told(reply: &[u8]) -> Option<Self> {
        // A plan can be long, and is no error.
        let begins = reply.starts_with(br#"{"error""#);
        let Reply::Error(error) = serde_json::from_slice(reply).ok().filter(|_| begins)? else {
            return None;
        };
        let class = Called::of(&error.reason)?;
        let said = error.message;
        Some(Self::Told { class, said })
    }
}
