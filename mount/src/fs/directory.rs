//! Open directories: a stream of entries that can be read from any offset again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use fuser::Errno;
use tokio::sync::Mutex;

use super::core::{Core, Entry, Node};
use super::draft::Draft;
use super::inode::Version;
use super::listing::{DirEntry, Listing, Listings, Merger, Page};

/// Entries of a cached listing handed out at once: more than fit into one answer.
const BATCH: usize = 1_000;

/// One open directory.
#[derive(Debug)]
pub(crate) struct OpenDirectory {
    pub ino: u64,
    cursor: Mutex<Cursor>,
}

/// Where a page begins, so that a reader can seek back to it.
#[derive(Clone, Debug, Default)]
struct Mark {
    first: usize,
    continuation: Option<String>,
    merger: Merger,
}

#[derive(Debug, Default)]
struct Cursor {
    /// Files that are being written; they come first, and the source's of the same name not at all.
    drafts: Vec<DirEntry>,
    draft_names: HashSet<Arc<str>>,
    /// Pages seen, in order. One each thousand entries: small beside the entries themselves.
    marks: Vec<Mark>,
    /// The page at hand, and the index of its first entry.
    page: Vec<DirEntry>,
    first: usize,
    taken: Option<Instant>,
    /// Where the page after the one at hand begins; `None` after the last.
    next: Option<Mark>,
    cached: Option<Arc<Listing>>,
    /// All entries so far, while they may still become a cached listing, and the count of changes
    /// when the first was asked for.
    collected: Option<(Vec<DirEntry>, u64, Instant)>,
}

impl Core {
    /// Opens a directory. Nothing is asked before it is read.
    pub(crate) fn open_directory(&self, ino: u64) -> Result<u64, Errno> {
        match self.entry(ino)?.node {
            Node::Directory => {}
            Node::File(_) | Node::Draft(_) => return Err(Errno::ENOTDIR),
        }
        self.inodes().open(ino);
        Ok(self.directories.insert(OpenDirectory {
            ino,
            cursor: Mutex::default(),
        }))
    }

    pub(crate) fn release_directory(&self, handle: u64) -> Result<(), Errno> {
        let directory = self.directories.remove(handle)?;
        self.inodes().close(directory.ino);
        Ok(())
    }

    /// The entries from `index` on that are at hand, at least one unless there are no more; and
    /// when the source said so.
    pub(crate) async fn entries(
        &self,
        directory: &OpenDirectory,
        index: usize,
    ) -> Result<(Vec<DirEntry>, Instant), Errno> {
        let mut cursor = directory.cursor.lock().await;
        if index == 0 {
            self.rewind(directory.ino, &mut cursor);
        }
        let drafts = cursor.drafts.len();
        if let Some(rest) = cursor.drafts.get(index..)
            && !rest.is_empty()
        {
            return Ok((rest.to_vec(), Instant::now()));
        }
        let index = index.saturating_sub(drafts);
        if let Some(listing) = &cursor.cached {
            let entries = listing.entries().iter();
            let shown = entries.filter(|entry| !cursor.draft_names.contains(&entry.name));
            return Ok((
                shown.skip(index).take(BATCH).cloned().collect(),
                listing.taken,
            ));
        }
        self.seek(directory.ino, &mut cursor, index).await?;
        let rest = cursor.page.get(index - cursor.first..).unwrap_or_default();
        Ok((rest.to_vec(), cursor.taken.unwrap_or_else(Instant::now)))
    }

    fn rewind(&self, ino: u64, cursor: &mut Cursor) {
        let drafts = self.inodes().drafts_in(ino);
        let (cached, changes) = {
            let listings = self.listings();
            let cached = listings.get(ino, self.settings().revalidate);
            (cached, listings.changes())
        };
        *cursor = Cursor {
            draft_names: drafts.iter().map(|(name, _)| name.clone()).collect(),
            drafts: drafts
                .iter()
                .map(|(name, draft)| entry_of(name, draft))
                .collect(),
            next: Some(Mark::default()),
            cached,
            collected: Some((Vec::new(), changes, Instant::now())),
            ..Cursor::default()
        };
    }

    /// Brings the page with entry `index` to hand, or the last one if there are not so many.
    async fn seek(&self, ino: u64, cursor: &mut Cursor, index: usize) -> Result<(), Errno> {
        if index < cursor.first {
            let mark = cursor.marks.partition_point(|mark| mark.first <= index);
            cursor.marks.truncate(mark);
            cursor.next = cursor.marks.pop();
            cursor.collected = None;
            cursor.page.clear();
        }
        while index >= cursor.first + cursor.page.len()
            && let Some(mark) = cursor.next.take()
        {
            if let Err(errno) = self.load(ino, cursor, mark.clone()).await {
                cursor.next = Some(mark);
                return Err(errno);
            }
        }
        Ok(())
    }

    async fn load(&self, ino: u64, cursor: &mut Cursor, mark: Mark) -> Result<(), Errno> {
        let prefix = self.prefix(ino)?;
        let taken = Instant::now();
        let page = self
            .source
            .directory(&prefix, mark.continuation.clone())
            .await?;
        let Page { next, .. } = &page;
        let next = next.clone();
        let mut merger = mark.merger.clone();
        let first = mark.first;
        cursor.marks.push(mark);
        let entries = merger.entries(&prefix, page);
        self.collect(ino, cursor, &entries, next.is_none());
        cursor.page = entries;
        let names = &cursor.draft_names;
        cursor.page.retain(|entry| !names.contains(&entry.name));
        cursor.first = first;
        cursor.taken = Some(taken);
        cursor.next = next.map(|continuation| Mark {
            first: first + cursor.page.len(),
            continuation: Some(continuation),
            merger,
        });
        Ok(())
    }

    /// Keeps a listing that is complete, small enough, and not overtaken by a change.
    fn collect(&self, ino: u64, cursor: &mut Cursor, entries: &[DirEntry], last: bool) {
        let Some((mut all, changes, begun)) = cursor.collected.take() else {
            return;
        };
        all.extend_from_slice(entries);
        if !Listings::fits(all.len()) {
            return;
        }
        if !last {
            cursor.collected = Some((all, changes, begun));
            return;
        }
        let mut listings = self.listings();
        if listings.changes() == changes {
            listings.insert(ino, all, begun);
        }
    }

    /// The inode of a listed entry; the kernel then refers to it.
    pub(crate) fn enter_listed(&self, directory: u64, entry: &DirEntry, taken: Instant) -> Entry {
        let node = entry.version.clone().map_or(Node::Directory, Node::File);
        let mut inodes = self.inodes();
        // What was asked for by itself since the listing was taken is newer.
        let newer = inodes
            .child(directory, &entry.name)
            .filter(|known| known.checked > taken);
        match newer {
            Some(known) => inodes.enter(directory, &entry.name, known.node, known.checked),
            None => inodes.enter(directory, &entry.name, node, taken),
        }
    }
}

fn entry_of(name: &Arc<str>, draft: &Arc<Draft>) -> DirEntry {
    DirEntry {
        name: name.clone(),
        version: Some(Version {
            etag: Arc::from(""),
            size: draft.size(),
            modified: draft.modified(),
        }),
    }
}
