//! What processes cost, as the kernel counts it (proc(5)). The test cluster's containers are
//! processes of this machine.

use std::{fs, path::PathBuf, time::Duration};

use dlf_tests::processes;

/// `USER_HZ`, 100 on every architecture that Linux runs containers on.
const TICKS_PER_SECOND: u64 = 100;

/// Processes of one program, and what they had spent when they were found.
#[derive(Debug)]
pub(crate) struct Processes(Vec<(PathBuf, u64)>);

impl Processes {
    /// Those whose program is `name`; `pod_uid` narrows them to one pod's.
    pub(crate) fn of(name: &str, pod_uid: Option<&str>) -> Self {
        let found = processes(name, pod_uid.unwrap_or_default());
        let spent = |process: PathBuf| {
            let ticks = ticks(&process);
            (process, ticks)
        };
        Self(found.into_iter().map(spent).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Processor time since they were found, user and system together.
    pub(crate) fn spent(&self) -> Duration {
        let ticks: u64 = self
            .0
            .iter()
            .map(|(process, before)| ticks(process).saturating_sub(*before))
            .sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// Resident memory of the largest of them, in bytes.
    pub(crate) fn resident_max(&self) -> u64 {
        self.0
            .iter()
            .map(|(process, _)| resident(process))
            .max()
            .unwrap_or_default()
    }
}

fn ticks(process: &std::path::Path) -> u64 {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The fields behind the program's name, which may hold spaces: user and system are 14 and 15.
    let fields = stat
        .rsplit_once(')')
        .map(|(_, fields)| fields)
        .unwrap_or_default();
    fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse::<u64>)
        .sum()
}

fn resident(process: &std::path::Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    let kib = line
        .split_whitespace()
        .next()
        .and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
