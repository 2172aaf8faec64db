//! Programs that write as they please: archives, databases, version control, patches.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dlf_tests::Output;

use crate::support::bytes::{MIB, Random, assert_bytes, bytes};
use crate::support::file::close;
use crate::support::place::{Place, Setup};
use crate::support::program::{
    are_there, packages_are_there, python, python_has, sh, system_python,
};

/// `write` or `check`, an archive of three members: PATH.
const ZIP: &str = include_str!("zip.py");

/// `write` or `check`, a database of a thousand rows: PATH.
const DATABASE: &str = include_str!("database.py");

/// `write` or `check`, by a library of Python: LIBRARY PATH.
const SAVE: &str = include_str!("save.py");

/// Two commits, a look at them, and what there is then.
const COMMITS: &str = include_str!("commits.sh");

/// A copy of an object, for programs that are to find it right without the mount.
fn copy_of(place: &Place, key: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(key), place.bucket.get(key).unwrap()).unwrap();
    directory
}

/// Writes in the mount, checks there, and checks the object by itself.
fn written_and_right(test: &'static str, modules: &str, script: &str, name: &str) {
    if !python_has(test, modules) {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let wanted = "right\n";
    assert_eq!(place.python(script, &["write", name]).expect_ok(), "");
    assert_eq!(place.python(script, &["check", name]).expect_ok(), wanted);
    let copy = copy_of(&place, name);
    let check = |directory: &Path| python(directory, script, &["check", name]);
    assert_eq!(check(copy.path()).expect_ok(), wanted);
    assert_eq!(place.end().keys(), [name], "nothing else is left");
}

#[test]
fn an_archive_of_large_members_is_right() {
    let test = "an_archive_of_large_members_is_right";
    written_and_right(test, "zipfile", ZIP, "a.zip");
}

#[test]
fn a_database_is_written_and_opened_again() {
    let test = "a_database_is_written_and_opened_again";
    written_and_right(test, "sqlite3", DATABASE, "rows.db");
}

/// Saves by a library, over nothing and over what it saved, and loads it in the mount and without.
fn saved_and_loaded(test: &'static str, packages: &str, library: &str) {
    if !packages_are_there(test, packages) {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let run = |directory: &Path, verb| {
        let said = system_python(directory, SAVE, &[verb, library, "saved"]);
        said.expect_ok()
    };
    for round in 0..2 {
        assert_eq!(run(&place.mount.path, "write"), "", "round {round}");
        let copy = copy_of(&place, "saved");
        assert_eq!(run(copy.path(), "check"), "right\n", "round {round}");
        assert_eq!(run(&place.mount.path, "check"), "right\n", "round {round}");
    }
    assert_eq!(place.end().keys(), ["saved"], "nothing else is left");
}

#[test]
fn arrays_that_numpy_saves_are_loaded() {
    saved_and_loaded("arrays_that_numpy_saves_are_loaded", "numpy", "savez");
}

#[test]
fn an_array_that_numpy_maps_is_loaded() {
    saved_and_loaded("an_array_that_numpy_maps_is_loaded", "numpy", "memmap");
}

#[test]
fn a_file_that_h5py_makes_and_adds_to_is_loaded() {
    let test = "a_file_that_h5py_makes_and_adds_to_is_loaded";
    saved_and_loaded(test, "numpy, h5py", "h5py");
}

#[test]
fn a_workbook_that_openpyxl_saves_is_loaded() {
    let test = "a_workbook_that_openpyxl_saves_is_loaded";
    saved_and_loaded(test, "openpyxl", "openpyxl");
}

#[test]
fn a_repository_takes_two_commits_and_is_cloned() {
    let test = "a_repository_takes_two_commits_and_is_cloned";
    if !are_there(test, &["git"]) {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let said = place.sh(COMMITS).expect_ok();
    assert_eq!(
        said, "second\nfirst\n",
        "subjects, and nothing that is not committed"
    );
    let clone = tempfile::tempdir().unwrap();
    let command = format!(
        "export HOME=$PWD GIT_CONFIG_NOSYSTEM=1; git clone -q '{}' c && cat c/text && wc -c < c/big",
        place.join("repository").display()
    );
    let cloned: Output = sh(clone.path(), &command);
    assert_eq!(cloned.expect_ok(), "one\ntwo\n3000000\n");
}

/// Changes a large object as Python does, and looks at what that left.
fn changed(place: &Place, script: &str, wanted: &[u8], what: &str) {
    assert_eq!(place.python(script, &["big"]).expect_ok(), "", "{what}");
    assert_bytes(fs::read(place.join("big")).unwrap(), wanted, what);
    let object = place.bucket.get("big").unwrap();
    assert_bytes(object, wanted, &format!("{what}, the object"));
}

#[test]
fn a_large_object_is_patched_lengthened_and_cut() {
    const LENGTH: usize = 30_000_000;
    const PATCHED: usize = 15_000_003;
    let test = "a_large_object_is_patched_lengthened_and_cut";
    if !python_has(test, "os") {
        return;
    }
    let Some(place) = Setup::of(test).start() else {
        return;
    };
    let mut wanted = bytes(70, LENGTH);
    place.bucket.put("big", wanted.clone());

    let patch =
        "import sys\nwith open(sys.argv[1], 'r+b') as f: f.seek(15000003); f.write(b'patched')";
    wanted[PATCHED..PATCHED + 7].copy_from_slice(b"patched");
    changed(&place, patch, &wanted, "patched");

    let append = "import sys\nwith open(sys.argv[1], 'ab') as f: f.write(b'appended')";
    wanted.extend_from_slice(b"appended");
    changed(&place, append, &wanted, "appended to");

    let lengthen = "import os, sys; os.truncate(sys.argv[1], 33000000)";
    wanted.resize(33_000_000, 0);
    changed(&place, lengthen, &wanted, "lengthened");

    let cut = "import os, sys; os.truncate(sys.argv[1], 9000000)";
    wanted.truncate(9_000_000);
    changed(&place, cut, &wanted, "cut");

    let both = "import sys\nwith open(sys.argv[1], 'r+b') as f: f.truncate(100); f.seek(200); f.write(b'x')";
    wanted.truncate(100);
    wanted.resize(200, 0);
    wanted.push(b'x');
    changed(&place, both, &wanted, "cut, and written to behind its end");
}

#[test]
fn pieces_in_any_order_make_the_file() {
    const LENGTH: usize = 30 * MIB + 77;
    const PIECE: usize = 300_007;
    let Some(place) = Setup::of("pieces_in_any_order_make_the_file").start() else {
        return;
    };
    let body = bytes(80, LENGTH);
    let mut starts: Vec<usize> = (0..LENGTH).step_by(PIECE).collect();
    let mut random = Random(9);
    for last in (1..starts.len()).rev() {
        starts.swap(last, random.below(last + 1));
    }
    let file = fs::File::create(place.join("f")).unwrap();
    for start in starts {
        let end = LENGTH.min(start + PIECE);
        file.write_all_at(&body[start..end], start as u64).unwrap();
    }
    close(file).unwrap();
    assert_bytes(place.bucket.get("f").unwrap(), &body, "the object");
    assert_bytes(fs::read(place.join("f")).unwrap(), &body, "the file");
}
