//! Figures of the mounts, added up by dataset.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use dlf_wire::mounter::v1::Usage;
use dlf_wire::nodes::v1::{DatasetUsage, MounterState, Report};

use super::Volumes;
use super::writes::LastWrites;
use crate::operator::Holdings;
use crate::state::StateError;

/// Last reports of datasets that were released while there was no stream: as many short jobs as end
/// while an operator is replaced.
const UNSENT_MAX: usize = 256;

/// Running totals. A dataset may have several mounts, one after the other and at once; what its
/// mounts count from zero, this counts on.
#[derive(Debug)]
pub(super) struct Totals {
    /// Totals never fall while this stays the same: it is the driver's start.
    epoch: u64,
    /// What each mount said last.
    last: HashMap<String, Usage>,
    /// By volume handle.
    sums: HashMap<String, DatasetUsage>,
    pub(super) writes: LastWrites,
    /// Of datasets that have been released, with files that their sources do not have.
    unsent: Vec<DatasetUsage>,
    /// What the operator has been told, on which stream.
    reported: HashMap<String, DatasetUsage>,
    reported_mounters: Vec<MounterState>,
    reported_on: Option<u64>,
}

impl Totals {
    pub(super) fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            epoch: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            last: HashMap::new(),
            sums: HashMap::new(),
            writes: LastWrites::default(),
            unsent: Vec::new(),
            reported: HashMap::new(),
            reported_mounters: Vec::new(),
            reported_on: None,
        }
    }

    /// Whoever is at the end of another stream was told nothing.
    fn tell_on(&mut self, stream: u64) {
        if self.reported_on.replace(stream) != Some(stream) {
            self.reported.clear();
            self.reported_mounters.clear();
        }
    }

    /// Forgets a dataset, which nothing uses any more; the figures that were not told yet.
    fn take(&mut self, handle: &str) -> Option<DatasetUsage> {
        let (writes, sum) = (self.writes.take(handle), self.sums.remove(handle));
        let reported = self.reported.remove(handle).map(|reported| DatasetUsage {
            pods: Vec::new(),
            ..reported
        });
        if sum.is_none() && writes.is_empty() {
            return None;
        }
        let sum = sum.unwrap_or_else(|| self.zero(handle));
        let last = DatasetUsage { writes, ..sum };
        (reported.as_ref() != Some(&last)).then_some(last)
    }

    /// What a dataset has before anything was read or written.
    fn zero(&self, handle: &str) -> DatasetUsage {
        DatasetUsage {
            volume_handle: handle.to_owned(),
            epoch: self.epoch,
            ..DatasetUsage::default()
        }
    }

    /// Adds what is new in a mount's counters.
    ///
    /// `ours` says that this driver has made the mount: then its first counters count in full.
    /// Those of a mount that was found at start were partly reported by the driver before us.
    fn add(&mut self, handle: &str, usage: &Usage, ours: bool) {
        let last = self.last.insert(usage.mount_id.clone(), usage.clone());
        let base = match last {
            Some(last) if last.epoch == usage.epoch => last,
            None if !ours => return,
            _ => Usage::default(),
        };
        let zero = self.zero(handle);
        let sum = self.sums.entry(handle.to_owned()).or_insert(zero);
        let grow = |sum: &mut u64, now: u64, before: u64| *sum += now.saturating_sub(before);
        grow(&mut sum.bytes_read, usage.bytes_read, base.bytes_read);
        grow(
            &mut sum.bytes_written,
            usage.bytes_written,
            base.bytes_written,
        );
        grow(&mut sum.requests, usage.requests, base.requests);
        grow(&mut sum.errors, usage.errors, base.errors);
        grow(&mut sum.read_ms, usage.read_ms, base.read_ms);
        grow(
            &mut sum.cached_bytes_read,
            usage.cached_bytes_read,
            base.cached_bytes_read,
        );
        grow(
            &mut sum.cache_failures,
            usage.cache_failures,
            base.cache_failures,
        );
    }

    /// Drops what nobody will ask for again.
    fn keep(&mut self, mounted: impl Fn(&str) -> bool, in_use: impl Fn(&str) -> bool) {
        self.last.retain(|id, _| mounted(id));
        self.sums.retain(|handle, _| in_use(handle));
        self.reported.retain(|handle, _| in_use(handle));
    }

    /// The datasets whose figures or pods are not what the operator was told.
    fn news(&mut self, current: Vec<DatasetUsage>) -> Vec<DatasetUsage> {
        let mut news = Vec::new();
        for usage in current {
            if self.reported.get(&usage.volume_handle) != Some(&usage) {
                self.reported
                    .insert(usage.volume_handle.clone(), usage.clone());
                news.push(usage);
            }
        }
        news
    }
}

impl Volumes {
    pub(super) fn count(&self, usage: &Usage) {
        let Some(mount) = self.deps.state.mount(&usage.mount_id) else {
            return;
        };
        let ours = self.live.has_device(&usage.mount_id);
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.add(mount.handle(), usage, ours);
    }

    pub(super) fn report(&self) {
        let handles = self.deps.state.handles();
        self.deps
            .metrics
            .observe(self.deps.state.mounts().len(), self.deps.operator.is_up());
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.keep(
            |id| self.deps.state.mount(id).is_some(),
            |handle| handles.iter().any(|used| used == handle),
        );
        let Some(stream) = self.deps.operator.stream() else {
            return;
        };
        totals.tell_on(stream);
        totals.writes.see_pods(|mount| self.pods_of(mount));
        let current = handles.iter().map(|handle| {
            let sum = totals.sums.get(handle).cloned();
            DatasetUsage {
                pods: self.deps.state.pods(handle),
                writes: totals.writes.of(handle),
                ..sum.unwrap_or_else(|| totals.zero(handle))
            }
        });
        let current: Vec<_> = current.collect();
        let mut usage = std::mem::take(&mut totals.unsent);
        usage.extend(totals.news(current));
        // Only now: what a mount said at its end is told once.
        totals
            .writes
            .keep(|mount| self.deps.state.mount(mount).is_some());
        let mounters = self.mounters();
        if !usage.is_empty() || mounters != totals.reported_mounters {
            totals.reported_mounters.clone_from(&mounters);
            self.deps.operator.report(Report { usage, mounters });
        }
    }

    /// Forgets a dataset that nothing uses, and tells the operator, with its last figures: those of
    /// a short job are the only ones.
    pub(super) fn drop_if_unused(&self, handle: &str) -> Result<(), StateError> {
        // First, so that no report forgets them in between.
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.deps.state.drop_unused_dataset(handle)? {
            return Ok(());
        }
        let last = totals.take(handle);
        if let Some(last) = &last
            && !self.deps.operator.is_up()
            && !last.writes.is_empty()
            && totals.unsent.len() < UNSENT_MAX
        {
            totals.unsent.push(last.clone());
        }
        drop(totals);
        if let Some(last) = last {
            self.deps.operator.report(Report {
                usage: vec![last],
                mounters: Vec::new(),
            });
        }
        self.deps.operator.released(handle);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dlf_wire::nodes::v1::PodRef;
    use dlf_wire::writes::v1::Writes;

    use super::*;

    fn usage(mount: &str, epoch: u64, bytes_read: u64) -> Usage {
        Usage {
            mount_id: mount.into(),
            epoch,
            bytes_read,
            ..Usage::default()
        }
    }

    #[test]
    fn totals_grow_over_mounts_and_epochs() {
        let mut totals = Totals::new();
        totals.add("d", &usage("a", 1, 10), true);
        totals.add("d", &usage("a", 1, 15), true);
        totals.add("d", &usage("b", 1, 100), true);
        totals.add("d", &usage("a", 2, 3), true);
        assert_eq!(totals.sums["d"].bytes_read, 118);
    }

    #[test]
    fn a_mount_found_at_start_counts_from_what_it_says_first() {
        let mut totals = Totals::new();
        totals.add("d", &usage("a", 1, 1000), false);
        totals.add("d", &usage("a", 1, 1007), false);
        assert_eq!(totals.sums["d"].bytes_read, 7);
    }

    #[test]
    fn a_dataset_that_comes_back_counts_from_zero_and_its_last_figures_are_told_once() {
        let mut totals = Totals::new();
        totals.add("d", &usage("a", 1, 10), true);
        assert_eq!(totals.take("d").unwrap().bytes_read, 10);
        totals.add("d", &usage("b", 2, 5), true);
        let sum = totals.sums["d"].clone();
        assert_eq!(sum.bytes_read, 5);
        totals.news(vec![sum]);
        assert_eq!(totals.take("d"), None);
    }

    #[test]
    fn what_a_mount_could_not_write_is_told_with_who_used_it_also_after_both_have_gone() {
        let mut totals = Totals::new();
        let pod = PodRef {
            name: "job".into(),
            ..PodRef::default()
        };
        let refused = |refused| Writes {
            refused,
            ..Writes::default()
        };
        totals.writes.put("d", "m", refused(1), vec![pod.clone()]);
        totals.writes.put("d", "m", refused(2), Vec::new());
        totals.writes.see_pods(|_| Vec::new());
        let last = totals.take("d").unwrap();
        assert_eq!(last.writes.len(), 1);
        assert_eq!(last.writes[0].pods, [pod]);
        assert_eq!(last.writes[0].writes, Some(refused(2)));
        assert_eq!(totals.take("d"), None);
    }

    #[test]
    fn another_stream_is_told_everything_again() {
        let mut totals = Totals::new();
        let one = DatasetUsage::default();
        totals.tell_on(1);
        assert_eq!(totals.news(vec![one.clone()]).len(), 1);
        totals.tell_on(1);
        assert_eq!(totals.news(vec![one.clone()]).len(), 0);
        totals.tell_on(2);
        assert_eq!(totals.news(vec![one]).len(), 1);
    }

    #[test]
    fn only_news_are_told() {
        let mut totals = Totals::new();
        let one = DatasetUsage {
            volume_handle: "d".into(),
            bytes_read: 1,
            ..DatasetUsage::default()
        };
        assert_eq!(totals.news(vec![one.clone()]).len(), 1);
        assert!(totals.news(vec![one.clone()]).is_empty());
        totals.keep(|_| true, |_| false);
        assert_eq!(totals.news(vec![one]).len(), 1);
    }
}
