//! Reading directories.

use std::time::Instant;

use fuser::Errno;

use super::core::{Core, Entry, Node};
use super::cursor::OpenDirectory;
use super::listing::DirEntry;
use super::names::Names;

impl Core {
    /// Opens a directory. Nothing is asked before it is read.
    pub(crate) fn open_directory(&self, ino: u64) -> Result<u64, Errno> {
        match self.entry(ino)?.node {
            Node::Directory => {}
            Node::File(_) | Node::Written(_) => return Err(Errno::ENOTDIR),
        }
        self.names().opened(ino, None);
        Ok(self.directories.insert(OpenDirectory::new(ino)))
    }

    pub(crate) fn release_directory(&self, handle: u64) -> Result<(), Errno> {
        let directory = self.directories.remove(handle)?;
        self.names().closed(directory.ino);
        Ok(())
    }

    /// The entries from `index` on that are at hand, at least one unless there are no more; and
    /// when the source said so.
    pub(crate) async fn entries(
        &self,
        directory: &OpenDirectory,
        index: usize,
    ) -> Result<(Vec<DirEntry>, Instant), Errno> {
        let ino = directory.ino;
        let mut cursor = directory.cursor.lock().await;
        if index == 0 || !cursor.has_begun() {
            let revalidate = self.settings().revalidate;
            let names = self.names();
            let (ours, changes) = (names.ours_in(ino), names.begin_listing(ino));
            cursor.rewind(ours, names.listing(ino, revalidate), changes);
        }
        if let Some(entries) = cursor.at_hand(index) {
            return Ok(entries);
        }
        let prefix = self.names().prefix(ino).ok_or(Errno::ESTALE)?;
        let (source, prefix) = (self.source.of(prefix.root()), prefix.within());
        let keeps = Names::<std::sync::Arc<super::body::Body>>::keeps_listing;
        let entries = cursor.entries(&source, prefix, index, keeps, |collected| {
            let (begun, changes) = (collected.begun, collected.changes);
            self.names()
                .keep_listing(ino, collected.entries, begun, changes);
        });
        entries.await
    }

    /// The inode of a listed entry, which the kernel then refers to until it forgets; `None` if the
    /// listing is too old for that.
    pub(crate) fn enter_listed(
        &self,
        directory: u64,
        entry: &DirEntry,
        taken: Instant,
    ) -> Option<Entry> {
        self.names().listed(directory, entry, taken)
    }
}
