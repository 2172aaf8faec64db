//! A control group with a limit of memory, as the kubelet gives one to a mounter's pod (cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const GROUPS: &str = "/sys/fs/cgroup";

/// A process that was killed is in its group for another moment.
const REMOVE_TRIES: u32 = 100;

/// Goes with the value, once nobody is in it.
pub struct Group {
    path: PathBuf,
    /// Version 2 of the kernel's interface.
    unified: bool,
}

impl Group {
    /// A group for this many bytes in all, or a line that says why there is none. In version 2 the
    /// kernel ends all of it at the limit, as a kubelet since 1.28 asks for.
    pub fn start(test: &str, limit: usize) -> Option<Self> {
        match Self::new(test, limit) {
            Ok(group) => Some(group),
            Err(error) => {
                println!("SKIPPED {test}: no control group can be made here: {error}");
                None
            }
        }
    }

    fn new(test: &str, limit: usize) -> std::io::Result<Self> {
        let root = Path::new(GROUPS);
        let unified = root.join("cgroup.controllers").exists();
        let parent = if unified {
            fs::write(root.join("cgroup.subtree_control"), "+memory")?;
            root.to_owned()
        } else {
            root.join("memory")
        };
        let path = parent.join(format!("dlf-{test}-{}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self { path, unified };
        group.set(group.of("memory.max", "memory.limit_in_bytes"), limit)?;
        if unified {
            group.set("memory.oom.group", 1)?;
        }
        Ok(group)
    }

    /// Where a process writes its id to be in it.
    pub fn members(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Most that was in use, in bytes, with the pages of files, which the kernel takes back.
    pub fn peak(&self) -> usize {
        let file = self.of("memory.peak", "memory.max_usage_in_bytes");
        self.get(file).trim().parse().unwrap()
    }

    /// In use now, in bytes, but for the pages of files.
    pub fn anonymous(&self) -> usize {
        self.count("memory.stat", self.of("anon", "total_rss"))
    }

    /// Processes that the kernel has killed at the limit.
    pub fn killed(&self) -> usize {
        let file = self.of("memory.events", "memory.oom_control");
        self.count(file, "oom_kill")
    }

    fn of<'a>(&self, unified: &'a str, old: &'a str) -> &'a str {
        if self.unified { unified } else { old }
    }

    fn set(&self, file: &str, value: usize) -> std::io::Result<()> {
        fs::write(self.path.join(file), value.to_string())
    }

    fn get(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).unwrap()
    }

    fn count(&self, file: &str, name: &str) -> usize {
        let text = self.get(file);
        let mut counts = text.lines().filter_map(|line| line.split_once(' '));
        let found = counts.find(|(counted, _)| *counted == name);
        found.unwrap().1.trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..REMOVE_TRIES {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
