//! Which roots a mount is to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use dlf_cache::Location;

use super::key::Root;

/// Places of the source, by the directories that show them. No root lies in another.
#[derive(Clone, Debug)]
pub(crate) struct Roots(BTreeMap<String, Arc<Root>>);

impl Roots {
    /// All of the tree is where the origins say.
    pub(crate) fn own() -> Self {
        Self(BTreeMap::from([(String::new(), Root::new("", None))]))
    }

    /// Directories with their places; whoever makes it has checked that none lies in another.
    pub(crate) fn new(roots: impl IntoIterator<Item = (String, Location)>) -> Self {
        let roots = roots.into_iter().map(|(path, location)| {
            let root = Root::new(&path, Some(Arc::new(location)));
            (path, root)
        });
        Self(roots.collect())
    }

    /// The directories that are roots or lead to some, what contains others first; `None` for one that
    /// only leads to roots.
    pub(super) fn directories(&self) -> BTreeMap<&str, Option<&Arc<Root>>> {
        let mut directories = BTreeMap::new();
        for (path, root) in &self.0 {
            let mut above = path.as_str();
            while let Some((parent, _)) = split(above) {
                directories.entry(parent).or_insert(None);
                above = parent;
            }
            directories.insert(path, Some(root));
        }
        directories
    }
}

/// The directory that a path lies in, and its last name; `None` for the tree itself.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    match path {
        "" => None,
        path => Some(path.rsplit_once('/').unwrap_or(("", path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(paths: &[&str]) -> Vec<(String, bool)> {
        let at = |path: &&str| ((*path).to_owned(), Location::new("b", "").unwrap());
        let roots = Roots::new(paths.iter().map(at));
        let directories = roots.directories().into_iter();
        directories
            .map(|(path, root)| (path.to_owned(), root.is_some()))
            .collect()
    }

    #[test]
    fn what_leads_to_roots_is_there_too() {
        let found = directories(&["a/b/c", "a/d", "e"]);
        let expected = [
            ("", false),
            ("a", false),
            ("a/b", false),
            ("a/b/c", true),
            ("a/d", true),
            ("e", true),
        ];
        let expected = expected.map(|(path, is_root)| (path.to_owned(), is_root));
        assert_eq!(found, expected);
        assert_eq!(directories(&[""]), [(String::new(), true)]);
    }
}
