//! The directories of a mount that show places of their own.

use dlf_cache::{ConfigError, Location};
use dlf_core::shown;
use dlf_wire::dataset::v1 as wire;

use crate::fs::{KEY_BYTES_MAX, Roots, presentable};

/// Roots of one mount: partitions of a large table. Each takes about 1 KB of a child's memory, and all of
/// them fit well into what a table of names may take.
const ROOTS_MAX: usize = 10_000;

/// Bytes of all roots' paths, buckets and prefixes together: 200 for each where there are most. With a
/// CA bundle they fit into a message to the node, and to the mounter.
const ROOTS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The longest path of a root, in bytes. With a key behind it, it is below Linux's `PATH_MAX`.
const PATH_BYTES_MAX: usize = 1024;

/// Roots that no mount can show. Each tells what was found and what would be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadRoot {
    /// More than one mount has.
    #[error(
        "the mount has {found} roots, and at most {ROOTS_MAX} can be shown: leave some out, or show a directory above them"
    )]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// More than fits into a message.
    #[error(
        "the paths, buckets and prefixes of {roots} roots have {found} bytes, and at most {ROOTS_BYTES_MAX} can be told to a node: leave some out, or show a directory above them"
    )]
    TooLong {
        /// How many roots there are.
        roots: usize,
        /// Their bytes.
        found: usize,
    },
    /// A path that names no directory of the mount.
    #[error("root {} {why}: write it as names with a slash between two of them, as a/b", shown::file_name(.path))]
    Path {
        /// As it was found.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A bucket or a prefix that cannot be one.
    #[error("root {}: {error}", shown::file_name(.path))]
    Place {
        /// Of the root.
        path: String,
        /// What is wrong with its place.
        #[source]
        error: ConfigError,
    },
    /// A prefix that leaves no room for keys.
    #[error("root {}: its prefix has {found} bytes, and a key at most {KEY_BYTES_MAX}", shown::file_name(.path))]
    Prefix {
        /// Of the root.
        path: String,
        /// Its prefix's bytes.
        found: usize,
    },
    /// One directory is to show two places.
    #[error("root {} is there twice: a directory shows one place", shown::file_name(.0))]
    Twice(String),
    /// A root within another would hide what that has there.
    #[error(
        "root {} lies in root {}, which shows what its own place has there: leave one of them out",
        shown::file_name(.inner),
        shown::file_name(.outer)
    )]
    Nested {
        /// What lies in the other.
        inner: String,
        /// The other.
        outer: String,
    },
}

pub(super) fn roots(roots: &[wire::Root]) -> Result<Roots, BadRoot> {
    if roots.is_empty() {
        return Ok(Roots::own());
    }
    if roots.len() > ROOTS_MAX {
        return Err(BadRoot::TooMany { found: roots.len() });
    }
    let bytes = |root: &wire::Root| root.path.len() + root.bucket.len() + root.prefix.len();
    let found = roots.iter().map(bytes).sum();
    if found > ROOTS_BYTES_MAX {
        return Err(BadRoot::TooLong {
            roots: roots.len(),
            found,
        });
    }
    let located = roots.iter().map(|root| {
        check_path(&root.path)?;
        Ok((root.path.clone(), location(root)?))
    });
    let located = located.collect::<Result<Vec<_>, BadRoot>>()?;
    check_apart(roots)?;
    Ok(Roots::new(located))
}

fn check_path(path: &str) -> Result<(), BadRoot> {
    let why = match path {
        "" => return Ok(()),
        _ if path.len() > PATH_BYTES_MAX => "has more than 1024 bytes",
        _ if path.starts_with('/') => "begins with a slash",
        _ if path.split('/').all(presentable) => return Ok(()),
        _ => "has a name that no directory can have",
    };
    Err(BadRoot::Path {
        path: path.to_owned(),
        why,
    })
}

fn location(root: &wire::Root) -> Result<Location, BadRoot> {
    let path = || root.path.clone();
    let found = root.prefix.len();
    if found >= KEY_BYTES_MAX {
        return Err(BadRoot::Prefix {
            path: path(),
            found,
        });
    }
    let location = Location::new(root.bucket.as_str(), root.prefix.as_str());
    location.map_err(|error| BadRoot::Place {
        path: path(),
        error,
    })
}

/// Each is at a path of its own, and none in another.
fn check_apart(roots: &[wire::Root]) -> Result<(), BadRoot> {
    let mut paths: Vec<&str> = roots.iter().map(|root| root.path.as_str()).collect();
    // A directory is followed by what lies in it, before any other name.
    paths.sort_by(|one, other| one.split('/').cmp(other.split('/')));
    for pair in paths.windows(2) {
        let [outer, inner] = [pair[0], pair[1]];
        if outer == inner {
            return Err(BadRoot::Twice(outer.to_owned()));
        }
        let below = inner.strip_prefix(outer);
        if outer.is_empty() || below.is_some_and(|below| below.starts_with('/')) {
            return Err(BadRoot::Nested {
                inner: inner.to_owned(),
                outer: outer.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(path: &str, bucket: &str, prefix: &str) -> wire::Root {
        wire::Root {
            path: path.to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    fn refused(these: &[wire::Root]) -> String {
        roots(these).expect_err("they cannot be shown").to_string()
    }

    #[test]
    fn directories_apart_may_show_anything() {
        let two = [root("a/b", "one", "p/"), root("a/c", "one", "p/")];
        for these in [&two[..], &[root("", "b", "")], &[]] {
            assert!(roots(these).is_ok(), "{these:?}");
        }
        let alike = ["dt=1", "dt=1-a", "dt=10", "dt"].map(|path| root(path, "b", ""));
        assert!(roots(&alike).is_ok());
    }

    #[test]
    fn a_path_that_is_no_directory_of_the_mount_is_refused() {
        let long = "x/".repeat(PATH_BYTES_MAX / 2) + "y";
        let wide = "x".repeat(256);
        for path in ["/a", "a/", "a//b", "..", "a/../b", ".", "a\0", &long, &wide] {
            let error = refused(&[root(path, "b", "")]);
            assert!(error.contains("as a/b"), "{error}");
        }
    }

    #[test]
    fn a_place_that_is_none_is_refused_with_its_path() {
        for (bucket, prefix) in [("", ""), ("..", ""), ("a/b", ""), ("b", "p")] {
            let error = refused(&[root("here", bucket, prefix)]);
            assert!(error.contains("here"), "{error}");
        }
        let long = "x".repeat(KEY_BYTES_MAX) + "/";
        assert!(refused(&[root("here", "b", &long)]).contains("1025 bytes"));
    }

    #[test]
    fn a_root_within_another_is_refused_with_both() {
        let between = root("a-b", "b", "");
        let error = refused(&[root("a/c/d", "b", ""), between, root("a", "b", "")]);
        assert!(error.contains("\"a/c/d\" lies in root \"a\""), "{error}");
        let error = refused(&[root("", "b", ""), root("a", "b", "")]);
        assert!(error.contains("\"a\" lies in root \"\""), "{error}");
        let error = refused(&[root("a", "b", ""), root("a", "c", "")]);
        assert!(error.contains("twice"), "{error}");
    }

    #[test]
    fn as_many_as_a_large_table_has_are_shown_and_no_more() {
        let mut many: Vec<_> = (0..ROOTS_MAX)
            .map(|number| root(&format!("dt={number}"), "b", "p/"))
            .collect();
        assert!(roots(&many).is_ok());
        many.push(root("one more", "b", ""));
        let error = refused(&many);
        assert!(error.contains("10001 roots"), "{error}");
        let long: Vec<_> = (0..ROOTS_MAX / 4)
            .map(|number| root(&format!("{number}"), "b", &("x".repeat(1000) + "/")))
            .collect();
        let error = refused(&long);
        assert!(error.contains("of 2500 roots have 25"), "{error}");
    }
}
