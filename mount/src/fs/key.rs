//! Where an object is: the root it lies in, and its key there.
//!
//! A root is a directory of the tree that shows a place of the source. Most mounts have one, which is
//! all of the tree.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dlf_cache::Location;

/// A directory that shows what a place of the source has.
#[derive(Debug)]
pub(crate) struct Root {
    /// Where the tree has it, or had it; "" for all of the tree.
    path: String,
    /// `None`: where the origins say.
    location: Option<Arc<Location>>,
}

impl Root {
    pub(crate) fn new(path: &str, location: Option<Arc<Location>>) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            location,
        })
    }

    pub(crate) fn location(&self) -> Option<&Arc<Location>> {
        self.location.as_ref()
    }

    /// What keys begin with that are told to nobody above the client.
    pub(crate) fn prefix(&self) -> &str {
        let location = self.location.as_deref();
        location.map_or("", Location::prefix)
    }

    fn bucket(&self) -> Option<&str> {
        self.location.as_deref().map(Location::bucket)
    }

    /// The key of what lies at these names within each other, the outermost last; the root's own prefix
    /// for none.
    pub(crate) fn key(self: &Arc<Self>, names: &[&str]) -> Key {
        let prefix = self.prefix();
        let length: usize = names.iter().map(|name| name.len() + 1).sum();
        let mut whole = String::with_capacity(prefix.len() + length);
        whole.push_str(prefix);
        for (number, name) in names.iter().rev().enumerate() {
            if number > 0 {
                whole.push('/');
            }
            whole.push_str(name);
        }
        Key {
            root: self.clone(),
            whole,
        }
    }
}

/// A key, or with a slash at its end all keys that begin with it. Two are equal that name the same object,
/// whichever roots show it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    root: Arc<Root>,
    /// With the root's prefix.
    whole: String,
}

impl Key {
    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// As the root's part of the source knows it.
    pub(crate) fn within(&self) -> &str {
        self.whole
            .get(self.root.prefix().len()..)
            .unwrap_or_default()
    }

    /// As a user of the mount knows it.
    pub(crate) fn path(&self) -> String {
        let within = self.within();
        match self.root.path.as_str() {
            "" => within.to_owned(),
            path => format!("{path}/{within}"),
        }
    }

    /// What follows behind this.
    pub(crate) fn followed_by(&self, more: &str) -> Self {
        let mut whole = String::with_capacity(self.whole.len() + more.len());
        whole.push_str(&self.whole);
        whole.push_str(more);
        Self {
            root: self.root.clone(),
            whole,
        }
    }

    /// Whether this is `other`, or one of the two stands for all below it and the other lies there.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.root.bucket() == other.root.bucket()
            && (covers(&self.whole, &other.whole) || covers(&other.whole, &self.whole))
    }

    fn identity(&self) -> (Option<&str>, &str) {
        (self.root.bucket(), &self.whole)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

fn covers(outer: &str, inner: &str) -> bool {
    outer == inner || (outer.ends_with('/') && inner.starts_with(outer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(path: &str, bucket: &str, prefix: &str) -> Arc<Root> {
        let location = Location::new(bucket, prefix).unwrap();
        Root::new(path, Some(Arc::new(location)))
    }

    #[test]
    fn a_key_is_known_to_the_source_by_one_name_and_to_the_user_by_another() {
        let key = root("dt=1/h=2", "b", "table/p/").key(&["f", "d"]);
        assert_eq!((key.within(), key.path()), ("d/f", "dt=1/h=2/d/f".into()));
        let own = Root::new("", None).key(&["f", "d"]);
        assert_eq!((own.within(), own.path()), ("d/f", "d/f".into()));
        assert_eq!(own.followed_by("/x").within(), "d/f/x");
        assert_eq!(root("a", "b", "p/").key(&[]).within(), "");
    }

    #[test]
    fn two_roots_that_show_one_object_have_one_key_for_it() {
        let (whole, part) = (root("a", "b", ""), root("c", "b", "p/q/"));
        let (one, other) = (whole.key(&["f", "q", "p"]), part.key(&["f"]));
        assert!(one == other && one.overlaps(&other));
        let below = whole.key(&["p"]).followed_by("/");
        assert!(below.overlaps(&other) && other.overlaps(&below) && below != other);
        assert!(!whole.key(&["p"]).overlaps(&other));
        let elsewhere = root("d", "other", "p/q/").key(&["f"]);
        assert!(elsewhere != other && !elsewhere.overlaps(&other));
    }
}
