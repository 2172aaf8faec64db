//! When the mounter is told what was written and the source does not have.

use std::time::Duration;

use dlf_wire::writes::v1::Writes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Between two reports: a program that fails with each of its files costs no more than this, and a
/// person who looks at the pod's events finds the first at once.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What there is to tell, whenever it changed.
pub(super) struct Report {
    writes: watch::Receiver<Writes>,
    changed: bool,
    last: Option<Instant>,
}

impl Report {
    pub(super) fn of(writes: watch::Receiver<Writes>) -> Self {
        Self {
            writes,
            changed: false,
            last: None,
        }
    }

    /// The next state to tell. Cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Writes {
        if !self.changed {
            if self.writes.changed().await.is_err() {
                // Nobody writes down what a program of others does.
                return std::future::pending().await;
            }
            self.changed = true;
        }
        if let Some(last) = self.last {
            sleep_until(last + REPORT_EVERY).await;
        }
        self.take()
    }

    /// What was not told yet, at the end.
    pub(super) fn rest(&mut self) -> Option<Writes> {
        let changed = self.changed || self.writes.has_changed().unwrap_or(false);
        changed.then(|| self.take())
    }

    fn take(&mut self) -> Writes {
        self.changed = false;
        self.last = Some(Instant::now());
        self.writes.borrow_and_update().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(files: u64) -> Writes {
        Writes {
            refused: files,
            ..Writes::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_told_at_once_and_those_behind_it_together() {
        let (writes, changes) = watch::channel(Writes::default());
        let mut report = Report::of(changes);
        assert_eq!(report.rest(), None);
        let began = Instant::now();
        writes.send_replace(refused(1));
        assert_eq!(report.next().await, refused(1));
        assert_eq!(began.elapsed(), Duration::ZERO);
        writes.send_replace(refused(2));
        assert!(
            tokio::time::timeout(REPORT_EVERY / 2, report.next())
                .await
                .is_err()
        );
        writes.send_replace(refused(3));
        assert_eq!(
            report.next().await,
            refused(3),
            "what was waited for is not lost"
        );
        assert_eq!(began.elapsed(), REPORT_EVERY);
        writes.send_replace(refused(4));
        assert_eq!(report.rest(), Some(refused(4)));
        assert_eq!(report.rest(), None);
    }
}
