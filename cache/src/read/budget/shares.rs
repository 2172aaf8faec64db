//! Who may have how much: pure.

use super::super::planner::WINDOW_BYTES_MIN;

/// Reading (read-ahead and replies) has this part of the total. Neither reading nor writing is
/// worth more: who copies from one dataset to another does as much of both.
const READING_DIVISOR: usize = 2;

/// Uploads always find this part. Half of what writing has: what waits to be written fills the
/// other half while it is sent. Of the default total it is the largest part of any file, 64 MiB.
const UPLOAD_DIVISOR: usize = 4;

/// What is written leaves this part to reading even while nobody reads. A program may hold a file
/// open for days, and its draft with it; uploads that follow each other take each other's memory;
/// and reading would come to nothing. An eighth of the default total is one stream at full window.
const READING_RESERVE_DIVISOR: usize = 8;

/// What the kernel hands over at one time has this part, as long as what came before is taken: as
/// much as replies.
pub(super) const ARRIVED_DIVISOR: usize = 8;

/// The least that a stream is asked to get along with, in bytes: below it read-ahead is single trips.
#[allow(clippy::cast_possible_truncation, reason = "it is a MiB")]
pub(super) const STREAM_BYTES_MIN: usize = WINDOW_BYTES_MIN as usize;

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    ReadAhead,
    Draft,
    Upload,
    Reply,
    Arrived,
}

/// Who has how much of a [`super::Budget`], in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetUsage {
    /// What there is in all.
    pub total: usize,
    /// What was, or is being, fetched ahead of readers.
    pub read_ahead: usize,
    /// What was written and is not on its way yet.
    pub drafts: usize,
    /// Parts on their way to the store.
    pub uploads: usize,
    /// Replies that are being put together or handed over.
    pub replies: usize,
    /// What the kernel has handed over to be written and nobody has taken yet.
    pub arrived: usize,
}

impl BudgetUsage {
    /// Nobody has anything of `total`.
    pub(in crate::read) fn new(total: usize) -> Self {
        Self {
            total,
            read_ahead: 0,
            drafts: 0,
            uploads: 0,
            replies: 0,
            arrived: 0,
        }
    }

    /// What `purpose` has.
    pub(super) fn of(&mut self, purpose: Purpose) -> &mut usize {
        match purpose {
            Purpose::ReadAhead => &mut self.read_ahead,
            Purpose::Draft => &mut self.drafts,
            Purpose::Upload => &mut self.uploads,
            Purpose::Reply => &mut self.replies,
            Purpose::Arrived => &mut self.arrived,
        }
    }

    /// Whether `purpose` may have so many bytes more.
    ///
    /// At any time read-ahead, drafts and the larger of uploads and their reserve fit into the
    /// total, so that the first upload finds room whatever others hold.
    pub(super) fn admits(&self, purpose: Purpose, bytes: usize) -> bool {
        let reading = self.read_ahead.saturating_add(self.replies);
        let reserved = reading.max(self.reading_reserve());
        let uploads = self.uploads.max(self.upload_reserve());
        let fits = |used: &[usize]| {
            let used = used.iter();
            used.fold(bytes.saturating_add(self.arrived), |sum, used| {
                sum.saturating_add(*used)
            }) <= self.total
        };
        match purpose {
            Purpose::ReadAhead => {
                reading.saturating_add(bytes) <= self.total / READING_DIVISOR
                    && fits(&[reading, self.drafts, uploads])
            }
            Purpose::Draft => fits(&[reserved, self.drafts, uploads]),
            Purpose::Upload => self.uploads == 0 || fits(&[reserved, self.drafts, self.uploads]),
            Purpose::Reply => {
                self.replies == 0
                    || self.replies.saturating_add(bytes) <= self.reading_reserve()
                    || fits(&[reading, self.drafts, uploads])
            }
            Purpose::Arrived => true,
        }
    }

    /// What is in use in all, in bytes.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let written = self.drafts.saturating_add(self.uploads);
        let read = self.read_ahead.saturating_add(self.replies);
        written.saturating_add(read).saturating_add(self.arrived)
    }

    /// Whether nothing more is in use than there is.
    pub(super) fn is_within(&self) -> bool {
        self.in_use() <= self.total
    }

    /// What all read-ahead together can have now, in bytes.
    pub(super) fn read_ahead_share(&self) -> usize {
        let uploads = self.uploads.max(self.upload_reserve());
        let written = self.drafts.saturating_add(uploads);
        let unwritten = self
            .total
            .saturating_sub(written.saturating_add(self.arrived));
        let share = (self.total / READING_DIVISOR).min(unwritten);
        share.saturating_sub(self.replies)
    }

    /// What uploads always find, in bytes.
    pub(super) fn upload_reserve(&self) -> usize {
        self.total / UPLOAD_DIVISOR
    }

    fn reading_reserve(&self) -> usize {
        self.total / READING_RESERVE_DIVISOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(read_ahead: usize, drafts: usize, uploads: usize, replies: usize) -> BudgetUsage {
        BudgetUsage {
            total: 800,
            read_ahead,
            drafts,
            uploads,
            replies,
            arrived: 0,
        }
    }

    /// The most that `purpose` may have more.
    fn room(usage: BudgetUsage, purpose: Purpose) -> usize {
        let refused = (0..=801).find(|bytes| !usage.admits(purpose, *bytes));
        refused.map_or(usize::MAX, |bytes| bytes - 1)
    }

    #[test]
    fn read_ahead_has_half_less_what_replies_and_writing_have() {
        assert_eq!(room(used(0, 0, 0, 0), Purpose::ReadAhead), 400);
        assert_eq!(room(used(100, 0, 0, 50), Purpose::ReadAhead), 250);
        assert_eq!(room(used(0, 500, 0, 0), Purpose::ReadAhead), 100);
        assert_eq!(room(used(0, 500, 250, 0), Purpose::ReadAhead), 50);
        for usage in [used(0, 300, 50, 30), used(0, 0, 600, 0), used(0, 500, 0, 0)] {
            assert_eq!(room(usage, Purpose::ReadAhead), usage.read_ahead_share());
        }
    }

    #[test]
    fn writing_has_half_whatever_is_read_and_a_quarter_of_all_is_for_uploads() {
        assert_eq!(room(used(400, 0, 0, 0), Purpose::Draft), 200);
        assert_eq!(room(used(400, 0, 200, 0), Purpose::Draft), 200);
        assert_eq!(room(used(400, 200, 1, 0), Purpose::Upload), 199);
        assert_eq!(room(used(400, 0, 1, 0), Purpose::Upload), 399);
    }

    #[test]
    fn writing_has_what_reading_does_not_use_but_an_eighth() {
        assert_eq!(room(used(0, 0, 0, 0), Purpose::Draft), 500);
        assert_eq!(room(used(150, 0, 0, 100), Purpose::Draft), 350);
        assert_eq!(room(used(0, 0, 1, 0), Purpose::Upload), 699);
        assert_eq!(room(used(0, 0, 699, 0), Purpose::ReadAhead), 101);
    }

    #[test]
    fn the_first_upload_and_the_first_replies_go_ahead() {
        let full = used(400, 200, 0, 0);
        assert!(full.admits(Purpose::Reply, 1_000));
        let full = used(400, 200, 0, 90);
        assert!(full.admits(Purpose::Upload, full.upload_reserve()));
        assert!(full.admits(Purpose::Reply, 10) && full.admits(Purpose::Arrived, 1_000));
        let full = used(400, 200, 200, 90);
        assert!(full.admits(Purpose::Reply, 10) && !full.admits(Purpose::Reply, 11));
        let full = used(400, 200, 0, 1_000);
        assert!(!full.admits(Purpose::Draft, 1) && !full.admits(Purpose::ReadAhead, 1));
        assert!(!used(400, 200, 1, 1_000).admits(Purpose::Upload, 1));
    }

    #[test]
    fn no_number_is_too_large() {
        for purpose in [Purpose::ReadAhead, Purpose::Draft] {
            assert!(!used(1, 1, 1, 1).admits(purpose, usize::MAX));
        }
    }
}
