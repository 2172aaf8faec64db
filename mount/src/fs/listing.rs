//! From pages of keys to directory entries.

use std::collections::HashSet;
use std::sync::Arc;

use super::name::presentable;
use super::names::Version;

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

#[cfg(test)]
mod tests;
