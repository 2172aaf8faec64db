//! Directories whose content is somebody else's: measured and removed without following a link, and
//! with a bound to the work.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// How deep we walk, each level with a descriptor and a frame of the stack. Nothing of ours nests
/// deeper than three; what somebody else nested deeper is lifted up before it is removed.
const DEPTH_MAX: usize = 16;

/// A unit of `st_blocks` (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// Entries that may still be looked at.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    /// So many entries.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self(entries)
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }

    fn take(&mut self) -> bool {
        let some = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        some
    }
}

/// Opens a directory by its name in another one; a link is no directory.
pub fn open(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// What is known of an entry itself, were it a link.
pub fn stat(parent: BorrowedFd<'_>, name: &OsStr) -> rustix::io::Result<Stat> {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Whether this is a directory.
#[must_use]
pub fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The names in a directory, as many as the budget has.
pub fn names(
    directory: BorrowedFd<'_>,
    budget: &mut Budget,
) -> rustix::io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if is_itself(entry.file_name()) {
            continue;
        }
        if !budget.take() {
            break;
        }
        names.push(OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
    }
    Ok(names)
}

/// Removes an entry with all that is in it, as far as the budget goes; true if it is gone.
pub fn remove(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    budget: &mut Budget,
) -> rustix::io::Result<bool> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        // POSIX has EPERM for a directory, Linux EISDIR.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let root = open(parent, name)?;
    loop {
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) if !budget.is_spent() => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(false),
            Err(errno) => return Err(errno),
        }
        // Once more for what was lifted up meanwhile.
        empty(root.as_fd(), root.as_fd(), 1, budget)?;
    }
}

/// Removes what is in `directory`, a descendant of `root`; each entry costs, so it comes to an end.
fn empty(
    root: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    depth: usize,
    budget: &mut Budget,
) -> rustix::io::Result<()> {
    for name in names(directory, budget)? {
        match unlinkat(directory, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
        if depth >= DEPTH_MAX {
            // Hardly ever is there one of this name, and next time it is another.
            match renameat(directory, &name, root, format!(".lifted-{}", budget.0)) {
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => continue,
                Err(errno) => return Err(errno),
            }
        }
        empty(root, open(directory, &name)?.as_fd(), depth + 1, budget)?;
        match unlinkat(directory, &name, AtFlags::REMOVEDIR) {
            // Not empty: the budget is spent.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Bytes on the disk of all that is in a directory, as far as the budget goes. What comes and goes
/// meanwhile may be missed.
pub fn bytes(directory: BorrowedFd<'_>, budget: &mut Budget) -> u64 {
    bytes_at(directory, 1, budget)
}

fn bytes_at(directory: BorrowedFd<'_>, depth: usize, budget: &mut Budget) -> u64 {
    let mut sum = 0_u64;
    for name in names(directory, budget).unwrap_or_default() {
        let Ok(stat) = stat(directory, &name) else {
            continue;
        };
        let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
        sum = sum.saturating_add(blocks.saturating_mul(BLOCK_BYTES));
        if is_directory(&stat)
            && depth < DEPTH_MAX
            && let Ok(inner) = open(directory, &name)
        {
            sum = sum.saturating_add(bytes_at(inner.as_fd(), depth + 1, budget));
        }
    }
    sum
}

fn is_itself(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn plant() -> (tempfile::TempDir, OwnedFd) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("tree/a/b")).unwrap();
        fs::write(root.path().join("tree/a/file"), vec![1; 10_000]).unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        fs::write(root.path().join("outside/file"), vec![1; 1 << 20]).unwrap();
        symlink("../outside", root.path().join("tree/link")).unwrap();
        symlink("../../outside/file", root.path().join("tree/a/link")).unwrap();
        let opened = crate::sys::dir::open_trusted(root.path()).unwrap();
        (root, opened)
    }

    #[test]
    fn a_tree_goes_and_what_its_links_name_stays() {
        let (root, opened) = plant();
        let mut budget = Budget::new(100);
        assert_eq!(
            remove(opened.as_fd(), "tree".as_ref(), &mut budget),
            Ok(true)
        );
        assert!(!root.path().join("tree").exists());
        assert!(root.path().join("outside/file").exists());
        // What is gone is well gone.
        assert_eq!(
            remove(opened.as_fd(), "tree".as_ref(), &mut budget),
            Ok(true)
        );
    }

    #[test]
    fn a_link_goes_itself() {
        let (root, opened) = plant();
        let tree = open(opened.as_fd(), "tree".as_ref()).unwrap();
        let mut budget = Budget::new(100);
        assert_eq!(remove(tree.as_fd(), "link".as_ref(), &mut budget), Ok(true));
        assert!(root.path().join("outside/file").exists());
        assert!(!root.path().join("tree/link").is_symlink());
        symlink("outside", root.path().join("way")).unwrap();
        assert!(open(opened.as_fd(), "way".as_ref()).is_err());
    }

    #[test]
    fn the_budget_bounds_the_work_and_the_next_one_goes_on() {
        let (root, opened) = plant();
        for number in 0..50 {
            fs::write(root.path().join(format!("tree/a/b/{number}")), "x").unwrap();
        }
        let mut rounds = 0;
        while !remove(opened.as_fd(), "tree".as_ref(), &mut Budget::new(10)).unwrap() {
            rounds += 1;
            assert!(rounds < 20);
        }
        assert!(rounds >= 5, "{rounds}");
    }

    #[test]
    fn a_directory_of_any_depth_goes() {
        let (root, opened) = plant();
        let mut deep = open(opened.as_fd(), "tree".as_ref()).unwrap();
        for _ in 0..500 {
            rustix::fs::mkdirat(&deep, "d", Mode::RWXU).unwrap();
            rustix::fs::mkdirat(&deep, "e", Mode::RWXU).unwrap();
            deep = open(deep.as_fd(), "d".as_ref()).unwrap();
        }
        let mut budget = Budget::new(10_000);
        assert_eq!(
            remove(opened.as_fd(), "tree".as_ref(), &mut budget),
            Ok(true)
        );
        assert!(!Path::new(root.path()).join("tree").exists());
    }

    #[test]
    fn what_links_name_is_not_counted() {
        let (_root, opened) = plant();
        let tree = open(opened.as_fd(), "tree".as_ref()).unwrap();
        let counted = bytes(tree.as_fd(), &mut Budget::new(100));
        assert!((10_000..1 << 20).contains(&counted), "{counted}");
        assert_eq!(bytes(tree.as_fd(), &mut Budget::new(0)), 0);
    }
}
