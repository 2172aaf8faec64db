use dlf_wire::nodes::v1::DatasetUsage;

use crate::nodes::limits::FIGURE_MAX;

/// What consumers did with a dataset through its mounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes read by consumers.
    pub bytes_read: u64,
    /// Bytes written by consumers.
    pub bytes_written: u64,
    /// Requests of consumers.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Milliseconds that reads took, all together.
    pub read_ms: u64,
    /// Of the bytes read, those that a cache sent.
    pub cached_bytes_read: u64,
    /// Reads that a cache was to answer, and the source had to.
    pub cache_failures: u64,
}

impl Counters {
    /// The same operation on each figure.
    fn zip(self, other: Self, op: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            bytes_read: op(self.bytes_read, other.bytes_read),
            bytes_written: op(self.bytes_written, other.bytes_written),
            requests: op(self.requests, other.requests),
            errors: op(self.errors, other.errors),
            read_ms: op(self.read_ms, other.read_ms),
            cached_bytes_read: op(self.cached_bytes_read, other.cached_bytes_read),
            cache_failures: op(self.cache_failures, other.cache_failures),
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        *self = self.zip(more, |a, b| a.saturating_add(b).min(FIGURE_MAX));
    }

    /// The larger of each figure.
    pub(super) fn max(self, other: Self) -> Self {
        self.zip(other, u64::max)
    }
}

impl From<&DatasetUsage> for Counters {
    fn from(usage: &DatasetUsage) -> Self {
        Self {
            bytes_read: usage.bytes_read,
            bytes_written: usage.bytes_written,
            requests: usage.requests,
            errors: usage.errors,
            read_ms: usage.read_ms,
            cached_bytes_read: usage.cached_bytes_read,
            cache_failures: usage.cache_failures,
        }
    }
}

/// Where a node's counters of a dataset stood when it last reported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Meter {
    /// The mount is new: whatever is reported first was done since.
    #[default]
    Fresh,
    /// The mount is older than this operator's lead: what is reported first was counted before.
    Inherited,
    /// The last report.
    At { epoch: u64, counters: Counters },
}

impl Meter {
    /// What was done since the last report.
    pub(super) fn advance(&mut self, epoch: u64, now: Counters) -> Counters {
        let done = match *self {
            Self::Inherited => Counters::default(),
            Self::At {
                epoch: last,
                counters,
            } if last == epoch => now.zip(counters, u64::saturating_sub),
            // A new mount begins at zero.
            Self::Fresh | Self::At { .. } => now,
        };
        *self = Self::At {
            epoch,
            counters: now,
        };
        done
    }
}
