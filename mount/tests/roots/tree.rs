//! Several places as one tree.

use std::fs;
use std::io::Write;
use std::thread;

use dlf_tests::settings;
use dlf_wire::dataset::v1::{Keys, Root};
use dlf_wire::mounter::v1::{Configure, from_mounter, to_mounter};
use rustix::io::Errno;

use crate::support::bytes::{MIB, assert_bytes, bytes};
use crate::support::file::append;
use crate::support::mounter::network;
use crate::support::place::volume;
use crate::support::program::sh;
use crate::{Tree, errno, names};

#[test]
fn two_buckets_and_three_prefixes_are_one_tree() {
    let test = "two_buckets_and_three_prefixes_are_one_tree";
    let started = Tree::start(test, |one, other| {
        vec![
            one.root("p/", "t/dt=1"),
            one.root("q/r/", "t/dt=2"),
            other.root("", "u"),
        ]
    });
    let Some(tree) = started else { return };
    let (one, other) = (&tree.one, &tree.other);
    one.put("p/a", "1");
    one.put("p/d/b", "2");
    one.put("q/r/c", "3");
    one.put("q/hidden", "-");
    other.put("e", "4");
    tree.own.put("hidden", "-");
    let found = sh(
        &tree.mount.path,
        "find . -type f | LC_ALL=C sort | xargs grep ''",
    )
    .expect_ok();
    let expected = ["./t/dt=1/a:1", "./t/dt=1/d/b:2", "./t/dt=2/c:3", "./u/e:4"];
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);

    let large = bytes(80, 20 * MIB);
    fs::write(tree.join("u/large"), &large).unwrap();
    assert_bytes(fs::read(tree.join("u/large")).unwrap(), &large, "u/large");
    assert_eq!(other.size("large"), large.len() as u64);
    append(&tree.join("t/dt=2/c"), b"+").unwrap();
    assert_eq!(one.text("q/r/c").as_deref(), Some("3+"));
    fs::rename(tree.join("t/dt=1/d"), tree.join("t/dt=1/moved")).unwrap();
    assert_eq!(one.text("p/moved/b").as_deref(), Some("2"));

    let across = fs::rename(tree.join("t/dt=1/a"), tree.join("u/a"));
    assert_eq!(errno(across), Some(Errno::XDEV));
    let _ = sh(
        &tree.mount.path,
        "mv t/dt=1/a u/a && mv u/large t/dt=2 && mv t/dt=1/moved u",
    )
    .expect_ok();
    assert_eq!(other.keys(), ["a", "e", "moved/", "moved/b"]);
    assert_eq!(other.text("a").as_deref(), Some("1"));
    assert_eq!(one.size("q/r/large"), large.len() as u64);
    assert_eq!(one.keys(), ["q/hidden", "q/r/c", "q/r/large"]);
    assert_eq!(names(&tree.mount.path), ["t", "u"]);
    assert_eq!(tree.own.keys(), ["hidden"]);
}

#[test]
fn ten_thousand_roots_are_shown_without_a_request() {
    let test = "ten_thousand_roots_are_shown_without_a_request";
    let partitions = |prefix: &str| {
        let partition = |day: usize| Root {
            path: format!("dt={day:05}"),
            bucket: "a-bucket-that-nobody-asks-for".to_owned(),
            prefix: format!("{prefix}/warehouse/sales.db/orders/dt={day:05}/"),
        };
        (0..10_000).map(partition).collect::<Vec<_>>()
    };
    let Some(mut tree) = Tree::start(test, |_, _| partitions("first")) else {
        return;
    };
    // A start and an edit are told by the same channel, whose datagrams are shorter.
    tree.show(partitions("second"));
    assert_eq!(names(&tree.mount.path).len(), 10_000);
    for entry in fs::read_dir(&tree.mount.path).unwrap() {
        assert!(entry.unwrap().metadata().unwrap().is_dir());
    }
    for name in ["dt=10000", "x"] {
        assert_eq!(errno(fs::metadata(tree.join(name))), Some(Errno::NOENT));
    }
    let Tree {
        mount, mut mounter, ..
    } = tree;
    mount.settle();
    drop(mount);
    assert_eq!(mounter.stop("m"), None, "the source was asked");
}

#[test]
fn what_cannot_be_written_is_told_by_its_path_in_the_mount() {
    let test = "what_cannot_be_written_is_told_by_its_path_in_the_mount";
    let Some(mut tree) = Tree::start(test, |one, _| vec![one.root("", "t/dt=1")]) else {
        return;
    };
    let (Some(key), Some(secret)) = (
        settings().find("S3_READER_KEY"),
        settings().find("S3_READER_SECRET"),
    ) else {
        println!("SKIPPED {test}: no keys that may only read are given");
        return;
    };
    let mut readers = tree.dataset.clone();
    volume(&mut readers).origins[0].keys = Some(Keys {
        access_key_id: key,
        secret_access_key: secret,
        ..Keys::default()
    });
    tree.mounter.configure("m", &readers);
    fs::write(tree.join("t/dt=1/f"), "x").unwrap_or_default();
    let refusing = tree.mounter.event(|event| match event {
        from_mounter::Message::Writes(of) => of.writes.clone()?.refusing,
        _ => None,
    });
    assert_eq!(refusing.paths, ["t/dt=1/f"]);
    assert_eq!(refusing.reason, "AccessDenied");
}

#[test]
fn roots_that_cannot_be_shown_are_refused_and_the_mount_stays_as_it_is() {
    let test = "roots_that_cannot_be_shown_are_refused_and_the_mount_stays_as_it_is";
    let Some(mut tree) = Tree::start(test, |one, _| vec![one.root("", "t")]) else {
        return;
    };
    let nested = tree.with(vec![tree.other.root("", "u"), tree.one.root("", "u/v")]);
    let configure = to_mounter::Message::Configure(Configure {
        mount_id: "m".to_owned(),
        dataset: Some(nested),
        network: Some(network()),
        ..Configure::default()
    });
    let answer = tree.mounter.ask(configure, None);
    let from_mounter::Message::Failed(failed) = answer else {
        panic!("not refused: {answer:?}");
    };
    assert_eq!(failed.reason, "InvalidConfiguration");
    assert!(
        failed.message.contains("\"u/v\" lies in root \"u\""),
        "{}",
        failed.message
    );
    fs::write(tree.join("t/f"), "x").unwrap();
    assert_eq!(names(&tree.mount.path), ["t"]);
    assert_eq!(tree.one.text("f").as_deref(), Some("x"));
}

#[test]
fn lines_that_are_appended_by_two_roots_of_one_place_are_all_there() {
    const LINES: usize = 50;
    let test = "lines_that_are_appended_by_two_roots_of_one_place_are_all_there";
    let started = Tree::start(test, |one, _| vec![one.root("", "a"), one.root("d/", "b")]);
    let Some(tree) = started else { return };
    if !tree.one.honours_if_match_to_many() {
        println!("SKIPPED {test}: the server does not honour If-Match among several writers");
        return;
    }
    tree.one.put("d/log", "");
    thread::scope(|scope| {
        for name in ["a/d/log", "b/log"] {
            let path = tree.join(name);
            scope.spawn(move || {
                for line in 0..LINES {
                    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
                    writeln!(file, "{name} {line}").unwrap();
                    crate::support::file::close(file).unwrap();
                }
            });
        }
    });
    let log = tree.one.text("d/log").unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 2 * LINES, "{log}");
}
