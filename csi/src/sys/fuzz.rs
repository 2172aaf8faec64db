//! Paths that lead anywhere, opened and made beneath a directory with ways out of it.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::Mode;

use super::dir::{Entry, fd_path, make_beneath, open_beneath, open_trusted};

fn paths() -> impl Strategy<Value = String> {
    let part = "a|b|up|absolute|inside|file|\\.\\.?||[a-z]{1,3}";
    prop_oneof![
        6 => proptest::collection::vec(part, 0..8).prop_map(|parts| parts.join("/")),
        1 => any::<String>(),
        1 => (1..300_usize).prop_map(|count| "a/".repeat(count)),
        1 => "[a-z]{250,300}",
    ]
}

/// A base with links that lead out of it, beside a directory that has to stay as it is.
fn plant() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let base = root.path().join("base");
    fs::create_dir_all(base.join("a/b")).unwrap();
    fs::create_dir(root.path().join("outside")).unwrap();
    fs::write(base.join("file"), "").unwrap();
    symlink("../outside", base.join("up")).unwrap();
    symlink(root.path().join("outside"), base.join("absolute")).unwrap();
    symlink("a", base.join("inside")).unwrap();
    (root, base)
}

proptest! {
    #[test]
    fn whatever_is_opened_or_made_lies_beneath(path in paths(), make in any::<bool>()) {
        let (root, base) = plant();
        let base_fd = open_trusted(&base).unwrap();
        let opened = if make {
            make_beneath(base_fd.as_fd(), Path::new(&path), Mode::RWXU).map(|(opened, _)| opened)
        } else {
            open_beneath(base_fd.as_fd(), Path::new(&path))
        };
        match opened {
            Ok(opened) => {
                let real = fs::read_link(fd_path(opened.as_fd())).unwrap();
                prop_assert!(real.starts_with(&base), "{real:?}");
            }
            Err(error) => prop_assert!(error.to_string().contains(error.call), "{error}"),
        }
        prop_assert_eq!(fs::read_dir(root.path().join("outside")).unwrap().count(), 0);
        prop_assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_entry_is_made_and_removed_beneath(path in paths()) {
        let (root, base) = plant();
        let base_fd = open_trusted(&base).unwrap();
        if let Ok(entry) = Entry::find(base_fd.as_fd(), Path::new(&path)) {
            let parent = fs::read_link(fd_path(entry.parent.as_fd())).unwrap();
            prop_assert!(parent.starts_with(&base), "{parent:?}");
            if entry.make(Mode::RWXU).is_ok() && entry.open().is_ok() {
                let _ = entry.remove();
            }
        }
        prop_assert!(root.path().join("outside").is_dir());
        prop_assert!(base.join("up").is_symlink() && base.join("file").is_file());
        prop_assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }
}
