//! Changes of names: making and removing directories, removing files.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Instant;

use fuser::Errno;

use super::core::{Core, Entry};
use super::key::Key;
use super::name;
use super::source::PutCondition;

impl Core {
    /// Makes a directory: an empty object whose key ends in a slash.
    pub(crate) async fn mkdir(&self, parent: u64, name: &OsStr) -> Result<Entry, Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let key = self.child_key(parent, &format!("{name}/"))?;
        let _lock = self.lock(vec![key.clone()]).await;
        let empty = bytes::Bytes::new();
        let source = self.source.of(key.root());
        source.put(key.within(), empty, PutCondition::None).await?;
        Ok(self.names().made_directory(parent, name, Instant::now()))
    }

    /// Removes a file. What is still being written to it goes nowhere.
    pub(crate) async fn unlink(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let key = self.child_key(parent, name)?;
        let _lock = self.lock(vec![key.clone()]).await;
        self.source.of(key.root()).delete(key.within()).await?;
        self.names().removed(parent, name, Instant::now());
        self.closes.changed(&key, self.closes.ticket());
        Ok(())
    }

    /// Removes a directory with nothing in it. Keys that no path can name count as something.
    pub(crate) async fn rmdir(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let prefix = self.child_key(parent, &format!("{name}/"))?;
        let _lock = self.lock(vec![prefix.clone()]).await;
        self.check_empty(parent, name, &prefix).await?;
        self.source
            .of(prefix.root())
            .delete(prefix.within())
            .await?;
        self.names().removed(parent, name, Instant::now());
        Ok(())
    }

    /// Why there is no link: a source has none, and two roots are two file systems.
    pub(crate) fn no_link(&self, ino: u64, parent: u64) -> Errno {
        let names = self.names();
        let roots = [names.root(ino), names.root(parent)].map(|root| root.map(Arc::as_ptr));
        if roots[0] == roots[1] {
            Errno::EPERM
        } else {
            Errno::EXDEV
        }
    }

    /// `ENOTEMPTY` if there is anything but the marker.
    pub(super) async fn check_empty(
        &self,
        parent: u64,
        name: &str,
        prefix: &Key,
    ) -> Result<(), Errno> {
        {
            let names = self.names();
            let known = names.child(parent, name);
            if known.is_some_and(|entry| !names.ours_in(entry.ino).is_empty()) {
                return Err(Errno::ENOTEMPTY);
            }
        }
        let (source, prefix) = (self.source.of(prefix.root()), prefix.within());
        let mut continuation = None;
        loop {
            let page = source.keys(prefix, continuation, Some(2)).await?;
            if page.objects.iter().any(|(key, _)| key != prefix) {
                return Err(Errno::ENOTEMPTY);
            }
            // A page may be empty and not the last.
            continuation = page.next;
            if continuation.is_none() {
                return Ok(());
            }
        }
    }
}
