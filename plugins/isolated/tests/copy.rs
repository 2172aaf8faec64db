//! `--copy-to`: what an image of ours brings into a plugin's image runs there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

const HOST: &str = env!("CARGO_BIN_EXE_dlf-plugin-host");

fn copy_to(directory: &Path) -> Output {
    Command::new(HOST)
        .arg("--copy-to")
        .arg(directory)
        .output()
        .unwrap()
}

#[test]
fn a_copy_is_the_program_and_a_later_one_takes_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("dlf-plugin-host");
    fs::write(&copy, "what an earlier start left").unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o444)).unwrap();
    let done = copy_to(directory.path());
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let version = Command::new(&copy).arg("--version").output().unwrap();
    assert!(version.stdout.starts_with(b"dlf-plugin-host "));
    let files = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 1, "something half-written stays");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let done = copy_to(Path::new("/nowhere"));
    assert!(!done.status.success());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("cannot write /nowhere/"), "{said}");
}

#[test]
fn a_copy_does_nothing_else() {
    let done = Command::new(HOST)
        .args(["--copy-to", "/tmp", "--library", "/plugin.so"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
}
