//! Open directories: a stream of entries that can be read from any offset again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use fuser::Errno;
use tokio::sync::Mutex;

use super::body::Body;
use super::listing::{DirEntry, Merger};
use super::names::{Listing, Node, Version};
use super::source::Source;

/// Entries of a cached listing handed out at once: more than fit into one answer.
const BATCH: usize = 1_000;

/// One open directory.
#[derive(Debug)]
pub(crate) struct OpenDirectory {
    pub(crate) ino: u64,
    pub(crate) cursor: Mutex<Cursor>,
}

/// Where a page begins, so that a reader can seek back to it.
#[derive(Clone, Debug, Default)]
struct Mark {
    first: usize,
    continuation: Option<String>,
    merger: Merger,
}

/// What a reader of a directory has been shown, and how the rest is had.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// What only this mount has; it comes first, and the source's of the same name not at all.
    ours: Vec<DirEntry>,
    our_names: HashSet<Arc<str>>,
    /// Pages seen, in order. One each thousand entries: small beside the entries themselves.
    marks: Vec<Mark>,
    /// The page at hand, and the index of its first entry.
    page: Vec<DirEntry>,
    first: usize,
    taken: Option<Instant>,
    /// Where the page after the one at hand begins; `None` after the last.
    next: Option<Mark>,
    cached: Option<Arc<Listing>>,
    /// All entries so far, while they may still become a cached listing.
    collected: Option<Collected>,
}

/// A complete listing, and what it was before.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) entries: Vec<DirEntry>,
    /// The directory's count of changes when the first page was asked for, and when that was.
    pub(crate) changes: u64,
    pub(crate) begun: Instant,
}

impl OpenDirectory {
    pub(crate) fn new(ino: u64) -> Self {
        Self {
            ino,
            cursor: Mutex::default(),
        }
    }
}

impl Cursor {
    /// Begins anew. `ours` is what only this mount has, `cached` a listing that is young enough.
    pub(crate) fn rewind(
        &mut self,
        ours: Vec<(Arc<str>, Node<Arc<Body>>)>,
        cached: Option<Arc<Listing>>,
        changes: u64,
    ) {
        *self = Self {
            our_names: ours.iter().map(|(name, _)| name.clone()).collect(),
            ours: ours.into_iter().map(entry_of).collect(),
            next: Some(Mark::default()),
            cached,
            collected: Some(Collected {
                entries: Vec::new(),
                changes,
                begun: Instant::now(),
            }),
            ..Self::default()
        };
    }

    /// Whether it was ever rewound.
    pub(crate) fn has_begun(&self) -> bool {
        self.next.is_some() || !self.marks.is_empty()
    }

    /// The entries from `index` on, as [`Self::entries`] gives them, where no source has to be asked.
    pub(crate) fn at_hand(&self, index: usize) -> Option<(Vec<DirEntry>, Instant)> {
        if let Some(rest) = self.ours.get(index..)
            && !rest.is_empty()
        {
            return Some((rest.to_vec(), Instant::now()));
        }
        let index = index.saturating_sub(self.ours.len());
        let listing = self.cached.as_ref()?;
        let entries = listing.entries().iter();
        let shown = entries.filter(|entry| !self.our_names.contains(&entry.name));
        let shown = shown.skip(index).take(BATCH).cloned().collect();
        Some((shown, listing.taken))
    }

    /// The entries from `index` on that are at hand, at least one unless there are no more; and
    /// when the source said so.
    ///
    /// `keeps` tells whether so many entries may become a cached listing, `keep` takes one that is
    /// complete.
    pub(crate) async fn entries(
        &mut self,
        source: &Source,
        prefix: &str,
        index: usize,
        keeps: impl Fn(usize) -> bool,
        keep: impl FnOnce(Collected),
    ) -> Result<(Vec<DirEntry>, Instant), Errno> {
        let index = index.saturating_sub(self.ours.len());
        self.seek(source, prefix, index, keeps).await?;
        if self.next.is_none()
            && let Some(collected) = self.collected.take()
        {
            keep(collected);
        }
        let at = index.saturating_sub(self.first);
        let rest = self.page.get(at..).unwrap_or_default();
        Ok((rest.to_vec(), self.taken.unwrap_or_else(Instant::now)))
    }

    /// Brings the page with entry `index` to hand, or the last one if there are not so many.
    async fn seek(
        &mut self,
        source: &Source,
        prefix: &str,
        index: usize,
        keeps: impl Fn(usize) -> bool,
    ) -> Result<(), Errno> {
        if index < self.first {
            let after = self.marks.partition_point(|mark| mark.first <= index);
            self.marks.truncate(after);
            self.next = self.marks.pop();
            self.collected = None;
            self.page.clear();
            self.first = self.next.as_ref().map_or(0, |mark| mark.first);
        }
        while index >= self.first + self.page.len()
            && let Some(mark) = self.next.take()
        {
            if let Err(errno) = self.load(source, prefix, mark.clone(), &keeps).await {
                self.next = Some(mark);
                return Err(errno);
            }
        }
        Ok(())
    }

    async fn load(
        &mut self,
        source: &Source,
        prefix: &str,
        mark: Mark,
        keeps: impl Fn(usize) -> bool,
    ) -> Result<(), Errno> {
        let taken = Instant::now();
        let page = source.directory(prefix, mark.continuation.clone()).await?;
        let next = page.next.clone();
        let mut merger = mark.merger.clone();
        let first = mark.first;
        self.marks.push(mark);
        let entries = merger.entries(prefix, page);
        if let Some(collected) = &mut self.collected {
            collected.entries.extend_from_slice(&entries);
            if !keeps(collected.entries.len()) {
                self.collected = None;
            }
        }
        self.page = entries;
        self.page
            .retain(|entry| !self.our_names.contains(&entry.name));
        self.first = first;
        self.taken = Some(taken);
        self.next = next.map(|continuation| Mark {
            first: first + self.page.len(),
            continuation: Some(continuation),
            merger,
        });
        Ok(())
    }
}

fn entry_of((name, node): (Arc<str>, Node<Arc<Body>>)) -> DirEntry {
    let version = match node {
        Node::Directory => None,
        Node::File(version) => Some(version),
        Node::Written(body) => Some(Version {
            etag: Arc::from(""),
            size: body.size(),
            modified: body.modified(),
        }),
    };
    DirEntry { name, version }
}
