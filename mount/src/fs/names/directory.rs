//! What is known of directories beside their names in the table: complete listings, and what this
//! mount changed while a question to the source may have been under way.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fs::listing::DirEntry;

/// Entries kept of one directory. Larger ones are streamed from the source each time.
const DIRECTORY_ENTRIES_MAX: usize = 10_000;

/// Entries kept of all directories, at about 150 bytes each: 15 MB. A listing costs as much beside
/// its entries, so that empty ones are not kept without end.
const ENTRIES_MAX: usize = 100_000;

/// News of a directory are believed for so long after they were asked for. It is longer than any
/// request to a source takes, and bounds how long a change is remembered.
pub(super) const NEWS_AGE_MAX: Duration = Duration::from_mins(2);

/// Changes of names remembered of all directories, at about 100 bytes each. With more, no news that
/// was asked for before the first that is remembered is believed.
const CHANGED_MAX: usize = 100_000;

/// A complete listing.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// Sorted by name.
    entries: Vec<DirEntry>,
    pub taken: Instant,
}

impl Listing {
    pub(super) fn new(mut entries: Vec<DirEntry>, taken: Instant) -> Self {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self { entries, taken }
    }

    pub(crate) fn entries(&self) -> &[DirEntry] {
        &self.entries
    }

    pub(crate) fn get(&self, name: &str) -> Option<&DirEntry> {
        let at = self
            .entries
            .binary_search_by(|entry| (*entry.name).cmp(name))
            .ok()?;
        self.entries.get(at)
    }
}

/// Listings and changes, by the directory's inode.
#[derive(Debug, Default)]
pub(super) struct Directories {
    listings: HashMap<u64, Arc<Listing>>,
    /// Of the listings, oldest first.
    order: VecDeque<u64>,
    entries: usize,
    /// What this mount changed in a directory, so that a listing that was under way is not kept.
    changes: HashMap<u64, u64>,
    /// When this mount last changed what a name stands for.
    changed: HashMap<(u64, Arc<str>), Instant>,
    /// The same, oldest first.
    order_of_changes: VecDeque<(Instant, u64, Arc<str>)>,
    /// News that were asked for before this are not believed.
    floor: Option<Instant>,
}

impl Directories {
    /// A listing no older than `age_max` (`None`: of any age).
    pub(super) fn listing(
        &self,
        directory: u64,
        age_max: Option<Duration>,
    ) -> Option<Arc<Listing>> {
        let listing = self.listings.get(&directory)?;
        let fresh = age_max.is_none_or(|age_max| listing.taken.elapsed() < age_max);
        fresh.then(|| listing.clone())
    }

    /// Whether a directory of so many entries is kept.
    pub(super) fn fits(entries: usize) -> bool {
        entries <= DIRECTORY_ENTRIES_MAX
    }

    /// Counts up with each change of the directory through this mount.
    pub(super) fn changes(&self, directory: u64) -> u64 {
        self.changes.get(&directory).copied().unwrap_or_default()
    }

    /// Keeps a listing that was begun at `taken`.
    pub(super) fn keep(&mut self, directory: u64, entries: Vec<DirEntry>, taken: Instant) {
        self.drop_listing(directory);
        self.entries += 1 + entries.len();
        let listing = Arc::new(Listing::new(entries, taken));
        self.listings.insert(directory, listing);
        self.order.push_back(directory);
        while self.entries > ENTRIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget_listing(oldest);
        }
    }

    /// Directories of which there is a listing.
    pub(super) fn listed(&self) -> impl Iterator<Item = u64> {
        self.listings.keys().copied()
    }

    /// What directories had may not be what they have.
    pub(super) fn drop_listings(&mut self) {
        self.listings.clear();
        self.order.clear();
        self.entries = 0;
    }

    /// The directory is not what its listing says.
    pub(super) fn invalidate(&mut self, directory: u64) {
        *self.changes.entry(directory).or_default() += 1;
        self.drop_listing(directory);
    }

    /// As [`Self::invalidate`], of many.
    pub(super) fn invalidate_all(&mut self, directories: &HashSet<u64>) {
        self.order.retain(|known| !directories.contains(known));
        for directory in directories {
            *self.changes.entry(*directory).or_default() += 1;
            self.forget_listing(*directory);
        }
    }

    /// `name` is something else since a change through this mount; `None`: it has gone.
    pub(super) fn update(&mut self, directory: u64, name: &str, entry: Option<DirEntry>) {
        *self.changes.entry(directory).or_default() += 1;
        let Some(listing) = self.listings.get_mut(&directory) else {
            return;
        };
        let entries = &mut Arc::make_mut(listing).entries;
        let at = entries.binary_search_by(|entry| (*entry.name).cmp(name));
        match (at, entry) {
            (Ok(at), Some(entry)) => entries[at] = entry,
            (Err(at), Some(entry)) => {
                entries.insert(at, entry);
                self.entries += 1;
            }
            (Ok(at), None) => {
                entries.remove(at);
                self.entries -= 1;
            }
            (Err(_), None) => {}
        }
    }

    /// This mount has changed what `name` stands for: news that were asked for before do not undo it.
    pub(super) fn changed(&mut self, directory: u64, name: &str, now: Instant) {
        let name: Arc<str> = Arc::from(name);
        self.changed.insert((directory, name.clone()), now);
        self.order_of_changes.push_back((now, directory, name));
        while let Some((at, directory, name)) = self.order_of_changes.front() {
            let old = now.saturating_duration_since(*at) > NEWS_AGE_MAX;
            if !old && self.order_of_changes.len() <= CHANGED_MAX {
                break;
            }
            if !old {
                self.floor = Some(*at);
            }
            let key = (*directory, name.clone());
            if self.changed.get(&key) == Some(at) {
                self.changed.remove(&key);
            }
            self.order_of_changes.pop_front();
        }
    }

    /// Whether news of a name that were asked for at `asked` are newer than its last change.
    pub(super) fn believes(&self, directory: u64, name: &str, asked: Instant) -> bool {
        let changed = self.changed.get(&(directory, Arc::from(name)));
        changed.is_none_or(|changed| asked > *changed)
            && self.floor.is_none_or(|floor| asked > floor)
            && asked.elapsed() < NEWS_AGE_MAX
    }

    /// The directory's inode has gone.
    pub(super) fn forget(&mut self, directory: u64) {
        self.drop_listing(directory);
        self.changes.remove(&directory);
    }

    fn drop_listing(&mut self, directory: u64) {
        if self.listings.contains_key(&directory) {
            self.order.retain(|known| *known != directory);
            self.forget_listing(directory);
        }
    }

    fn forget_listing(&mut self, directory: u64) {
        if let Some(listing) = self.listings.remove(&directory) {
            self.entries -= 1 + listing.entries.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: usize) -> Vec<DirEntry> {
        (0..n)
            .map(|n| DirEntry {
                name: n.to_string().into(),
                version: None,
            })
            .collect()
    }

    #[test]
    fn the_oldest_listing_goes_when_there_are_too_many_entries() {
        let mut directories = Directories::default();
        for directory in 1..=10 {
            directories.keep(directory, entries(DIRECTORY_ENTRIES_MAX), Instant::now());
        }
        assert!(directories.listing(1, None).is_none());
        assert!(directories.listing(2, None).unwrap().get("77").is_some());
        assert!(directories.listing(2, Some(Duration::ZERO)).is_none());
        directories.update(2, "77", None);
        assert!(directories.listing(2, None).unwrap().get("77").is_none());
        directories.invalidate(2);
        assert!(directories.listing(2, None).is_none());
        assert_eq!(directories.entries, 8 * (1 + DIRECTORY_ENTRIES_MAX));
        assert_eq!(directories.order.len(), 8);
    }

    #[test]
    fn listings_of_empty_directories_are_bounded_too() {
        let mut directories = Directories::default();
        let count = 2 * ENTRIES_MAX as u64;
        for directory in 0..count {
            directories.keep(directory, Vec::new(), Instant::now());
        }
        assert!(
            directories.listings.len() <= ENTRIES_MAX && directories.order.len() <= ENTRIES_MAX
        );
        assert!(directories.listing(count - 1, None).is_some());
    }

    #[test]
    fn changes_are_bounded_and_never_forgotten_in_favour_of_older_news() {
        let mut directories = Directories::default();
        let asked = Instant::now();
        for n in 0..CHANGED_MAX + 10 {
            directories.changed(7, &n.to_string(), Instant::now());
        }
        assert_eq!(directories.changed.len(), CHANGED_MAX);
        for n in [0, 9, 10, CHANGED_MAX + 9] {
            assert!(!directories.believes(7, &n.to_string(), asked), "{n}");
        }
        assert!(directories.believes(7, "3", Instant::now()));
    }
}
