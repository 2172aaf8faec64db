//! Roots that come, go and move while the mount is used.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::io::Errno;

use crate::support::bytes::{MIB, assert_bytes, bytes};
use crate::support::file::{close, save};
use crate::{Tree, errno, names};

/// Long enough that most of it is neither read ahead nor cached.
const LENGTH: usize = 24 * MIB;

fn read_on(file: &File, length: usize) -> Vec<u8> {
    let mut body = vec![0; length];
    file.read_exact_at(&mut body, 0).unwrap();
    body
}

#[test]
fn a_root_that_goes_leaves_what_is_open_where_it_is_and_one_that_comes_is_there_at_once() {
    let test =
        "a_root_that_goes_leaves_what_is_open_where_it_is_and_one_that_comes_is_there_at_once";
    let started = Tree::start(test, |one, _| {
        vec![one.root("1/", "a"), one.root("2/", "d/b")]
    });
    let Some(mut tree) = started else { return };
    let large = bytes(81, LENGTH);
    tree.one.put("1/large", large.clone());
    tree.one.put("2/log", "old");
    tree.other.put("x", "other");
    assert_eq!(errno(fs::metadata(tree.join("new"))), Some(Errno::NOENT));
    let reader = File::open(tree.join("a/large")).unwrap();
    reader.read_exact_at(&mut [0; 10], 0).unwrap();
    let mut writer = File::create(tree.join("d/b/w")).unwrap();
    writer.write_all(b"half ").unwrap();
    let mut log = fs::OpenOptions::new()
        .append(true)
        .open(tree.join("d/b/log"))
        .unwrap();

    tree.show(vec![tree.other.root("", "new")]);
    assert_eq!(fs::read_to_string(tree.join("new/x")).unwrap(), "other");
    for gone in ["a", "a/large", "d", "d/b", "d/b/w"] {
        assert_eq!(
            errno(fs::metadata(tree.join(gone))),
            Some(Errno::NOENT),
            "{gone}"
        );
    }
    assert_eq!(names(&tree.mount.path), ["new"]);
    assert_bytes(read_on(&reader, LENGTH), &large, "a/large");
    writer.write_all(b"whole").unwrap();
    close(writer).unwrap();
    log.write_all(b" new").unwrap();
    close(log).unwrap();
    assert_eq!(tree.one.text("2/w").as_deref(), Some("half whole"));
    assert_eq!(tree.one.text("2/log").as_deref(), Some("old new"));

    tree.show(vec![tree.one.root("2/", "d/b"), tree.other.root("", "new")]);
    assert_eq!(
        fs::read_to_string(tree.join("d/b/w")).unwrap(),
        "half whole"
    );
    assert_eq!(names(&tree.mount.path), ["d", "new"]);
}

#[test]
fn a_root_that_shows_another_place_is_another_directory() {
    let test = "a_root_that_shows_another_place_is_another_directory";
    let Some(mut tree) = Tree::start(test, |one, _| vec![one.root("", "r"), one.root("s/", "s")])
    else {
        return;
    };
    let large = bytes(82, LENGTH);
    tree.one.put("f", large.clone());
    tree.other.put("f", "other");
    assert_eq!(names(&tree.join("r")), ["f"]);
    let reader = File::open(tree.join("r/f")).unwrap();
    let directory = fs::read_dir(tree.join("r")).unwrap();
    let stays = fs::metadata(tree.join("s")).unwrap();
    tree.show(vec![tree.other.root("", "r"), tree.one.root("s/", "s")]);
    assert_eq!(fs::read_to_string(tree.join("r/f")).unwrap(), "other");
    save(&tree.join("r/g"), b"new").unwrap();
    assert_eq!(tree.other.keys(), ["f", "g"]);
    assert_bytes(read_on(&reader, LENGTH), &large, "r/f");
    assert_eq!(
        directory.count(),
        1,
        "it was opened when there was one file"
    );
    assert_eq!(fs::metadata(tree.join("s")).unwrap().ino(), stays.ino());
}

#[test]
fn a_mount_gets_its_first_root_and_loses_its_last() {
    let test = "a_mount_gets_its_first_root_and_loses_its_last";
    let Some(mut tree) = Tree::start(test, |_, _| Vec::new()) else {
        return;
    };
    let large = bytes(83, LENGTH);
    tree.own.put("f", large.clone());
    tree.own.put("d/g", "own");
    tree.other.put("x", "other");
    assert_eq!(names(&tree.mount.path), ["d", "f"]);
    assert_eq!(errno(fs::metadata(tree.join("a"))), Some(Errno::NOENT));
    let reader = File::open(tree.join("f")).unwrap();
    let mut writer = File::create(tree.join("w")).unwrap();
    writer.write_all(b"own").unwrap();
    for round in 0..3 {
        tree.show(vec![tree.other.root("", "a/b")]);
        assert_eq!(names(&tree.mount.path), ["a"], "{round}");
        assert_eq!(fs::read_to_string(tree.join("a/b/x")).unwrap(), "other");
        for gone in ["f", "d", "d/g", "w"] {
            assert_eq!(
                errno(fs::metadata(tree.join(gone))),
                Some(Errno::NOENT),
                "{gone}"
            );
        }
        assert_eq!(errno(save(&tree.join("f"), b"x")), Some(Errno::ROFS));
        tree.show(Vec::new());
        assert_eq!(errno(fs::metadata(tree.join("a"))), Some(Errno::NOENT));
        assert_eq!(fs::read_to_string(tree.join("d/g")).unwrap(), "own");
        assert_eq!(fs::metadata(tree.join("f")).unwrap().len(), LENGTH as u64);
    }
    assert_bytes(read_on(&reader, LENGTH), &large, "f");
    close(writer).unwrap();
    assert_eq!(tree.own.text("w").as_deref(), Some("own"));
}

/// A root goes to and fro between two places while files are written in it.
#[test]
fn what_was_written_while_a_root_moves_is_at_one_of_its_places() {
    const MOVES: usize = 60;
    let test = "what_was_written_while_a_root_moves_is_at_one_of_its_places";
    let started = Tree::start(test, |one, other| {
        vec![one.root("", "r"), other.root("s/", "s")]
    });
    let Some(mut tree) = started else { return };
    let (path, over) = (tree.mount.path.clone(), AtomicBool::new(false));
    let written = thread::scope(|scope| {
        let write = |root: &'static str| {
            let (path, over) = (&path, &over);
            move || {
                let (mut written, mut number) = (Vec::new(), 0);
                while !over.load(Ordering::Relaxed) {
                    let name = format!("{root}{number}");
                    let saved = save(&path.join(root).join(&name), name.as_bytes());
                    if saved.is_ok() {
                        written.push(name);
                    } else {
                        assert_eq!(root, "r", "{saved:?}");
                    }
                    number += 1;
                }
                written
            }
        };
        let writers = ["r", "s"].map(|root| scope.spawn(write(root)));
        for number in 0..MOVES {
            let place = if number % 2 == 0 {
                tree.other.root("r/", "r")
            } else {
                tree.one.root("", "r")
            };
            tree.show(vec![place, tree.other.root("s/", "s")]);
        }
        over.store(true, Ordering::Relaxed);
        writers.map(|writer| writer.join().unwrap())
    });
    let [moved, stayed] = written;
    assert!(!moved.is_empty() && !stayed.is_empty());
    for name in &moved {
        let places = [tree.one.text(name), tree.other.text(&format!("r/{name}"))];
        let found: Vec<_> = places.into_iter().flatten().collect();
        assert_eq!(found, [name.as_str()], "{name} was written");
    }
    for name in stayed {
        let found = tree.other.text(&format!("s/{name}"));
        assert_eq!(found.as_deref(), Some(&*name));
    }
}
