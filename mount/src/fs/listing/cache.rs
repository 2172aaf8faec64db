//! Complete listings of small directories, kept for a while.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DirEntry;

/// Entries kept of one directory. Larger ones are streamed from the source each time.
const DIRECTORY_ENTRIES_MAX: usize = 10_000;

/// Entries kept of all directories, at about 150 bytes each: 15 MB. A listing costs as much beside
/// its entries, so that empty ones are not kept without end.
const ENTRIES_MAX: usize = 100_000;

/// A complete listing.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// Sorted by name.
    entries: Vec<DirEntry>,
    pub taken: Instant,
}

impl Listing {
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

/// Complete listings of small directories, by the directory's inode.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    kept: HashMap<u64, Arc<Listing>>,
    /// Oldest first.
    order: VecDeque<u64>,
    entries: usize,
    /// Counts what this mount changes, so that a listing that was under way meanwhile is not kept.
    changes: u64,
}

impl Listings {
    /// A listing no older than `age_max` (`None`: of any age).
    pub(crate) fn get(&self, directory: u64, age_max: Option<Duration>) -> Option<Arc<Listing>> {
        let listing = self.kept.get(&directory)?;
        let fresh = age_max.is_none_or(|age_max| listing.taken.elapsed() < age_max);
        fresh.then(|| listing.clone())
    }

    /// Whether a directory of so many entries is kept.
    pub(crate) fn fits(entries: usize) -> bool {
        entries <= DIRECTORY_ENTRIES_MAX
    }

    /// Counts up with each change through this mount.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Keeps a listing that was begun at `taken`.
    pub(crate) fn insert(&mut self, directory: u64, mut entries: Vec<DirEntry>, taken: Instant) {
        self.drop_listing(directory);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.entries += 1 + entries.len();
        self.kept
            .insert(directory, Arc::new(Listing { entries, taken }));
        self.order.push_back(directory);
        while self.entries > ENTRIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// The directory is not what the listing says.
    pub(crate) fn invalidate(&mut self, directory: u64) {
        self.changes += 1;
        self.drop_listing(directory);
    }

    /// `name` is something else since a change through this mount; `None`: it has gone.
    pub(crate) fn update(&mut self, directory: u64, name: &str, entry: Option<DirEntry>) {
        self.changes += 1;
        let Some(listing) = self.kept.get_mut(&directory) else {
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

    fn drop_listing(&mut self, directory: u64) {
        if self.kept.contains_key(&directory) {
            self.order.retain(|known| *known != directory);
            self.forget(directory);
        }
    }

    fn forget(&mut self, directory: u64) {
        if let Some(listing) = self.kept.remove(&directory) {
            self.entries -= 1 + listing.entries.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_listing_goes_when_there_are_too_many_entries() {
        let mut listings = Listings::default();
        let entries = |n: usize| {
            (0..n)
                .map(|n| DirEntry {
                    name: n.to_string().into(),
                    version: None,
                })
                .collect::<Vec<_>>()
        };
        for directory in 1..=10 {
            listings.insert(directory, entries(DIRECTORY_ENTRIES_MAX), Instant::now());
        }
        assert!(listings.get(1, None).is_none());
        assert!(listings.get(2, None).unwrap().get("77").is_some());
        assert!(listings.get(2, Some(Duration::ZERO)).is_none());
        listings.update(2, "77", None);
        assert!(listings.get(2, None).unwrap().get("77").is_none());
        listings.invalidate(2);
        assert!(listings.get(2, None).is_none());
        assert_eq!(listings.entries, 8 * (1 + DIRECTORY_ENTRIES_MAX));
        assert_eq!(listings.order.len(), 8);
    }

    #[test]
    fn listings_of_empty_directories_are_bounded_too() {
        let mut listings = Listings::default();
        let directories = 2 * ENTRIES_MAX as u64;
        for directory in 0..directories {
            listings.insert(directory, Vec::new(), Instant::now());
        }
        assert!(listings.kept.len() <= ENTRIES_MAX && listings.order.len() <= ENTRIES_MAX);
        assert!(listings.get(directories - 1, None).is_some());
    }
}
