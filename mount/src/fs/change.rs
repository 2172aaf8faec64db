//! Changes of names: making and removing directories, removing files.

use std::ffi::OsStr;
use std::time::Instant;

use fuser::Errno;

use super::core::{Core, Entry};
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
        self.source.put(&key, empty, PutCondition::None).await?;
        Ok(self.names().made_directory(parent, name, Instant::now()))
    }

    /// Removes a file. What is still being written to it goes nowhere.
    pub(crate) async fn unlink(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        self.check_writable()?;
        let name = name::component(name)?;
        let key = self.child_key(parent, name)?;
        let _lock = self.lock(vec![key.clone()]).await;
        self.source.delete(&key).await?;
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
        self.source.delete(&prefix).await?;
        self.names().removed(parent, name, Instant::now());
        Ok(())
    }

    /// `ENOTEMPTY` if there is anything but the marker.
    pub(super) async fn check_empty(
        &self,
        parent: u64,
        name: &str,
        prefix: &str,
    ) -> Result<(), Errno> {
        {
            let names = self.names();
            let known = names.child(parent, name);
            if known.is_some_and(|entry| !names.ours_in(entry.ino).is_empty()) {
                return Err(Errno::ENOTEMPTY);
            }
        }
        let mut continuation = None;
        loop {
            let page = self.source.keys(prefix, continuation, Some(2)).await?;
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
