//! From pages of keys to directory entries, and the cache of complete listings.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inode::Version;
use super::name::presentable;

/// Entries kept of one directory. Larger ones are streamed from the source each time.
const DIRECTORY_ENTRIES_MAX: usize = 10_000;

/// Entries kept of all directories, at about 150 bytes each: 15 MB.
const ENTRIES_MAX: usize = 100_000;

/// One page of a listing with delimiter `/`, as the source gives it: full keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub objects: Vec<(String, Version)>,
    /// Common prefixes, ending in a slash.
    pub prefixes: Vec<String>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirEntry {
    pub name: Arc<str>,
    /// `None`: a directory.
    pub version: Option<Version>,
}

/// Turns pages into entries, each name once.
///
/// An object `a` and keys below `a/` are one entry. Between the two in the order of keys lie only
/// keys that begin with `a` (`a!`, `a-b`, `a.txt`), so it is enough to remember the few names
/// that are a beginning of the current key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merger {
    open: Vec<String>,
}

impl Merger {
    /// The entries of one page of the directory whose key prefix is `prefix`, in order of keys.
    /// Within a page a directory hides an object of the same name.
    pub(crate) fn entries(&mut self, prefix: &str, page: Page) -> Vec<DirEntry> {
        let directories: HashSet<String> = page
            .prefixes
            .iter()
            .filter_map(|key| key.strip_prefix(prefix)?.strip_suffix('/'))
            .map(str::to_owned)
            .collect();
        let objects = page.objects.into_iter().filter_map(|(key, version)| {
            let name = key.strip_prefix(prefix)?;
            let shown = presentable(name) && !directories.contains(name);
            shown.then(|| (name.to_owned(), Some(version)))
        });
        let mut all: Vec<(String, Option<Version>)> = objects.collect();
        // The slash back at the end: it is what the source sorts by.
        all.extend(directories.iter().map(|name| (format!("{name}/"), None)));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.into_iter()
            .filter_map(|(key, version)| self.entry(key, version))
            .collect()
    }

    fn entry(&mut self, key: String, version: Option<Version>) -> Option<DirEntry> {
        while self.open.last().is_some_and(|name| !key.starts_with(name)) {
            self.open.pop();
        }
        if version.is_some() {
            self.open.push(key.clone());
            return Some(DirEntry {
                name: key.into(),
                version,
            });
        }
        let name = key.strip_suffix('/').unwrap_or(&key);
        let listed = self.open.iter().any(|open| open == name);
        (presentable(name) && !listed).then(|| DirEntry {
            name: name.into(),
            version: None,
        })
    }
}

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
    listings: HashMap<u64, Arc<Listing>>,
    /// Oldest first.
    order: VecDeque<u64>,
    entries: usize,
    /// Counts what this mount changes, so that a listing that was under way meanwhile is not kept.
    changes: u64,
}

impl Listings {
    /// A listing no older than `age_max` (`None`: of any age).
    pub(crate) fn get(&self, directory: u64, age_max: Option<Duration>) -> Option<Arc<Listing>> {
        let listing = self.listings.get(&directory)?;
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
        self.entries += entries.len();
        self.listings
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

    fn drop_listing(&mut self, directory: u64) {
        if self.listings.contains_key(&directory) {
            self.order.retain(|known| *known != directory);
            self.forget(directory);
        }
    }

    fn forget(&mut self, directory: u64) {
        if let Some(listing) = self.listings.remove(&directory) {
            self.entries -= listing.entries.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;

    fn version() -> Version {
        Version {
            etag: Arc::from("e"),
            size: 1,
            modified: SystemTime::UNIX_EPOCH,
        }
    }

    /// What a source answers for the keys below `prefix`, `size` at a time.
    fn pages(keys: &[String], prefix: &str, size: usize) -> Vec<Page> {
        let mut items: Vec<(String, bool)> = keys
            .iter()
            .filter_map(|key| {
                let rest = key.strip_prefix(prefix)?;
                Some(match rest.split_once('/') {
                    Some((first, _)) => (format!("{prefix}{first}/"), true),
                    None => (key.clone(), false),
                })
            })
            .collect();
        items.sort();
        items.dedup();
        items
            .chunks(size)
            .map(|chunk| Page {
                objects: chunk
                    .iter()
                    .filter(|(_, directory)| !directory)
                    .map(|(key, _)| (key.clone(), version()))
                    .collect(),
                prefixes: chunk
                    .iter()
                    .filter(|(_, directory)| *directory)
                    .map(|(key, _)| key.clone())
                    .collect(),
                next: None,
            })
            .collect()
    }

    fn names(keys: &[&str], prefix: &str, size: usize) -> Vec<String> {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let mut merger = Merger::default();
        pages(&keys, prefix, size)
            .into_iter()
            .flat_map(|page| merger.entries(prefix, page))
            .map(|entry| {
                let slash = if entry.version.is_none() { "/" } else { "" };
                format!("{}{slash}", entry.name)
            })
            .collect()
    }

    #[test]
    fn markers_and_impossible_names_are_left_out() {
        let keys = ["d/", "d/a", "d//x", "d/../x", "d/./x", "d/sub/", "d/sub/x", "e"];
        assert_eq!(names(&keys, "d/", 1000), ["a", "sub/"]);
        assert_eq!(names(&keys, "", 1000), ["d/", "e"]);
    }

    #[test]
    fn an_object_and_a_directory_of_one_name_are_one_entry() {
        let keys = ["a", "a-b", "a.txt", "a/x", "b"];
        assert_eq!(names(&keys, "", 1000), ["a-b", "a.txt", "a/", "b"]);
        // Across pages the object has been told already.
        assert_eq!(names(&keys, "", 1), ["a", "a-b", "a.txt", "b"]);
    }

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
        for directory in 1..=11 {
            listings.insert(directory, entries(DIRECTORY_ENTRIES_MAX), Instant::now());
        }
        assert!(listings.get(1, None).is_none());
        assert!(listings.get(2, None).unwrap().get("77").is_some());
        assert!(listings.get(2, Some(Duration::ZERO)).is_none());
        listings.update(2, "77", None);
        assert!(listings.get(2, None).unwrap().get("77").is_none());
        listings.invalidate(2);
        assert!(listings.get(2, None).is_none());
        assert_eq!(listings.entries, 9 * DIRECTORY_ENTRIES_MAX);
        assert_eq!(listings.order.len(), 9);
    }

    proptest! {
        /// Whatever the keys and the size of pages: no name twice, none missing, none impossible.
        #[test]
        fn every_presentable_name_is_listed_once(
            keys in prop::collection::btree_set("[ab./-]{1,6}", 0..40),
            size in 1..8_usize,
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let mut listed: Vec<String> = names(&keys, "", size)
                .into_iter()
                .map(|name| name.trim_end_matches('/').to_owned())
                .collect();
            listed.sort();
            let mut wanted: Vec<String> = keys
                .iter()
                .map(|key| key.split('/').next().unwrap_or_default().to_owned())
                .filter(|name| presentable(name))
                .collect();
            wanted.sort();
            wanted.dedup();
            prop_assert_eq!(listed, wanted);
        }
    }
}
