//! How much memory the kernel lets this process's control groups have (cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};

/// Where no group has a limit: half of what the machine has, since the rest is pods'.
const UNLIMITED_DIVISOR: u64 = 2;

/// Where the kernel tells nothing at all, in bytes: what the chart gives a mounter.
const UNKNOWN: u64 = 2 * 1024 * 1024 * 1024;

/// Below this directory the groups are.
const GROUPS: &str = "sys/fs/cgroup";

/// In bytes; below `root` are `proc` and `sys`.
pub(super) fn of_this_process(root: &Path) -> u64 {
    let machine = machine_bytes(root);
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| limits_of(root, line));
    let limit = limits.min();
    // Version 1 says a number beyond any machine's where there is no limit.
    limit
        .filter(|limit| machine.is_none_or(|machine| *limit < machine))
        .or(machine.map(|machine| machine / UNLIMITED_DIVISOR))
        .unwrap_or(UNKNOWN)
}

/// The limits of one of our groups and of those it is in, as far as they are to be seen: in a
/// container often the root alone is, and is its own.
fn limits_of(root: &Path, line: &str) -> Vec<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (top, file) = if controllers.is_empty() {
        (root.join(GROUPS), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        let top = root.join(GROUPS).join("memory");
        (top, "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let group = top.join(path.trim_start_matches('/'));
    let within = group
        .ancestors()
        .take_while(|group| group.starts_with(&top));
    within
        .filter_map(|group| limit_in(group.join(file)))
        .collect()
}

/// None where there is no such file, or no limit: `max`.
fn limit_in(file: PathBuf) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn machine_bytes(root: &Path) -> Option<u64> {
    let memory = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// A machine of 8 GiB, with these groups and files.
    fn machine(groups: &str, files: &[(&str, &str)]) -> u64 {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/self/cgroup", groups);
        put(
            "proc/meminfo",
            "MemTotal:        8388608 kB\nMemFree: 1 kB\n",
        );
        for (path, text) in files {
            put(&format!("sys/fs/cgroup/{path}"), text);
        }
        of_this_process(root.path())
    }

    #[test]
    fn the_lowest_limit_of_a_group_and_those_it_is_in_counts() {
        let groups = [
            ("pods/memory.max", "1073741824\n"),
            ("pods/mounter/memory.max", "max\n"),
        ];
        assert_eq!(machine("0::/pods/mounter\n", &groups), 1024 * MIB);
    }

    #[test]
    fn a_container_that_sees_itself_as_the_root_has_its_limit() {
        let own = [("memory.max", "536870912\n")];
        assert_eq!(machine("0::/\n", &own), 512 * MIB);
        let old = [("memory/memory.limit_in_bytes", "268435456\n")];
        let groups = "12:cpu,cpuacct:/\n7:memory:/kubepods/pod1/c\n0::/x\n";
        assert_eq!(machine(groups, &old), 256 * MIB);
    }

    #[test]
    fn without_a_limit_it_is_half_of_the_machine() {
        let none = [("memory/memory.limit_in_bytes", "9223372036854771712\n")];
        assert_eq!(machine("7:memory:/\n", &none), 4096 * MIB);
        assert_eq!(machine("0::/\n", &[("memory.max", "max\n")]), 4096 * MIB);
        assert_eq!(of_this_process(Path::new("/nonexistent")), UNKNOWN);
    }

    #[test]
    fn this_machines_own_is_found() {
        let limit = of_this_process(Path::new("/"));
        assert!(limit < machine_bytes(Path::new("/")).unwrap());
    }
}
