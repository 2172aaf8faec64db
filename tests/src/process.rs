//! Processes of the test cluster's containers, which are processes of this machine (proc(5)).

use std::{fs, path::PathBuf};

/// Directories in /proc of the processes that run a program in a pod; in any, if its uid is empty.
///
/// # Panics
/// Without /proc.
#[must_use]
pub fn processes(program: &str, pod_uid: &str) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").unwrap_or_else(|error| panic!("/proc: {error}"));
    all.flatten()
        .map(|entry| entry.path())
        .filter(|process| {
            let text = |name| fs::read_to_string(process.join(name)).unwrap_or_default();
            text("comm").trim_end() == program && text("cgroup").contains(pod_uid)
        })
        .collect()
}
