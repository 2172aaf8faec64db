//! Processes of the test cluster's containers, which are processes of this machine (proc(5)).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories in /proc of the processes that run a program in a pod; in any, if its uid is empty.
///
/// # Panics
/// Without /proc.
#[must_use]
pub fn processes(program: &str, pod_uid: &str) -> Vec<PathBuf> {
    let runs = |process: &PathBuf| text(process, "comm").trim_end() == program;
    let found = all().filter(|process| runs(process) && is_of(process, pod_uid));
    found.collect()
}

/// Directories in /proc of all processes of a pod, whatever they run, those that are dead and not
/// waited for among them.
///
/// # Panics
/// Without /proc.
#[must_use]
pub fn processes_of_pod(pod_uid: &str) -> Vec<PathBuf> {
    all().filter(|process| is_of(process, pod_uid)).collect()
}

fn all() -> impl Iterator<Item = PathBuf> {
    let all = fs::read_dir("/proc").unwrap_or_else(|error| panic!("/proc: {error}"));
    all.flatten().map(|entry| entry.path())
}

fn is_of(process: &Path, pod_uid: &str) -> bool {
    text(process, "cgroup").contains(pod_uid)
}

fn text(process: &Path, name: &str) -> String {
    fs::read_to_string(process.join(name)).unwrap_or_default()
}
