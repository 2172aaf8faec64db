//! Changes of names: making and removing directories, removing files.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fuser::Errno;

use super::core::{Core, Entry, Node};
use super::draft::Draft;
use super::inode::Version;
use super::listing::DirEntry;
use super::name;

impl Core {
    /// Makes a directory: an empty object whose key ends in a slash.
    pub(crate) async fn mkdir(&self, parent: u64, name: &OsStr) -> Result<Entry, Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let key = self.child_key(parent, &format!("{name}/"))?;
        self.source.put(&key, Bytes::new(), false).await?;
        self.note(parent, name, None);
        let now = Instant::now();
        Ok(self.inodes().enter(parent, name, Node::Directory, now))
    }

    /// Removes a file.
    pub(crate) async fn unlink(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let key = self.child_key(parent, name)?;
        let draft = self.draft_at(parent, name);
        let mut held = match &draft {
            Some(draft) => Some(draft.hold().await),
            None => None,
        };
        self.source.delete(&key).await?;
        if let Some(held) = &mut held {
            held.discard();
        }
        self.inodes().remove(parent, name);
        self.listings().update(parent, name, None);
        Ok(())
    }

    /// The file of this name that is being written.
    fn draft_at(&self, parent: u64, name: &str) -> Option<Arc<Draft>> {
        match self.inodes().child(parent, name)?.node {
            Node::Draft(draft) => Some(draft),
            Node::File(_) | Node::Directory => None,
        }
    }

    /// Removes a directory with nothing in it. Keys that no path can name count as something.
    pub(crate) async fn rmdir(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let prefix = self.child_key(parent, &format!("{name}/"))?;
        self.check_empty(parent, name, &prefix).await?;
        self.source.delete(&prefix).await?;
        self.inodes().remove(parent, name);
        self.listings().update(parent, name, None);
        Ok(())
    }

    /// `ENOTEMPTY` if there is anything but the marker.
    pub(super) async fn check_empty(
        &self,
        parent: u64,
        name: &str,
        prefix: &str,
    ) -> Result<(), Errno> {
        let known = self.inodes().child(parent, name);
        if known.is_some_and(|entry| !self.inodes().drafts_below(entry.ino).is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        let page = self.source.keys(prefix, None, Some(2)).await?;
        if page.objects.iter().any(|(key, _)| key != prefix) {
            return Err(Errno::ENOTEMPTY);
        }
        Ok(())
    }

    /// Tells the cached listing of a new entry; `None`: a directory.
    pub(super) fn note(&self, parent: u64, name: &str, version: Option<Version>) {
        let entry = DirEntry {
            name: name.into(),
            version,
        };
        self.listings().update(parent, name, Some(entry));
    }
}
