//! Programs that tests bring into their pods. A pod copies them from a dataset.

use std::{fs, path::Path, process::Command};

use crate::{Bucket, run};

/// Where programs are in a bucket, and therefore in a pod's dataset.
pub const PROGRAMS: &str = "programs";

/// Builds `tests/programs/FILE`, which needs no library in its pod, and puts it into a bucket, under its name
/// without extension.
///
/// # Panics
/// When it does not compile.
pub fn put_program(bucket: &Bucket, file: &str) {
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{file}: {error}"));
    let (source, built) = (
        Path::new("programs").join(file),
        directory.path().join("built"),
    );
    let mut compiler = if source.extension().is_some_and(|language| language == "go") {
        let mut go = Command::new("go");
        go.env("CGO_ENABLED", "0")
            .args(["build", "-ldflags", "-s -w"]);
        go
    } else {
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-pthread", "-O2"]);
        gcc
    };
    let _ = run(compiler.arg("-o").arg(&built).arg(&source), b"").expect_ok();
    let program = fs::read(&built).unwrap_or_else(|error| panic!("{file}: {error}"));
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    bucket.put(&format!("{PROGRAMS}/{name}"), &program);
}
