//! What a plugin may have of its container's memory.

use std::fs;

/// Limits of the group of processes that this container is (cgroups(7), version 2 and 1), in bytes.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// The eighth that a plugin is not given: this process, tables of pages, what it writes to `/tmp`.
const KEPT: u64 = 8;

/// Bytes; none where the container has no limit.
pub(crate) fn of_plugin() -> Option<u64> {
    let mut limits = LIMITS
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    within(&limits.next()?)
}

fn within(limit: &str) -> Option<u64> {
    // Without a limit it is the word `max`, or in version 1 a number beyond any memory, which bounds nothing.
    let limit: u64 = limit.trim().parse().ok()?;
    Some(limit - limit / KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_finds_its_own_limit_before_its_container_does() {
        assert_eq!(within("268435456\n"), Some(224 << 20));
        assert_eq!(within("max\n"), None);
    }
}
