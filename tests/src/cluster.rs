//! Our own test cluster from inside: its nodes, and the servers that tests stop.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{LONG_LIMIT, Namespace, Output, is_long, run, run_within, settings, skip};

/// Whether the cluster is our own; if not, says that this test is skipped because `it` needs that.
#[must_use]
pub fn on_our_own_cluster(it: &str) -> bool {
    let ours = settings().is_our_own();
    if !ours {
        skip(&format!("{it}, and this is not our own cluster"));
    }
    ours
}

/// Whether a tool that only some tests need has been had (`tests/tools.sh`); if not, says that this test is
/// skipped, and why.
///
/// # Panics
/// When it has not and the long form of tests is asked for, which leaves nothing out.
#[must_use]
pub fn tool_is_ready(tool: &str) -> bool {
    let asked = run(Command::new("../tests/tools.sh").args(["ready", tool]), b"");
    let reason = format!("{}{}", asked.text.trim(), asked.error.trim());
    assert!(
        asked.ok || (asked.code == Some(NOT_READY) && !is_long()),
        "{tool}: {reason}"
    );
    if !asked.ok {
        skip(&reason);
    }
    asked.ok
}

/// The code of `tools.sh ready` for a tool that is not.
const NOT_READY: i32 = 3;

/// Runs a script of `tests/cluster`.
#[must_use]
pub fn cluster_script(name: &str, arguments: &[&str]) -> Output {
    let script = Path::new("../tests/cluster").join(name);
    run_within(LONG_LIMIT, Command::new(script).args(arguments), b"")
}

/// Whether the nodes' kernel, which is this machine's, has an NFS client.
///
/// # Panics
/// Without /proc.
#[must_use]
pub fn kernel_has_nfs() -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_else(|error| panic!("{error}"));
    known
        .lines()
        .any(|line| line.split_whitespace().any(|word| word == "nfs4"))
}

/// One of our own cluster's nodes.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
}

impl Node {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let names = settings().get("CLUSTER_NODES");
        names
            .split(',')
            .map(|name| Self { name: name.into() })
            .collect()
    }

    /// The one a pod runs on.
    ///
    /// # Panics
    /// When the pod is on none.
    #[must_use]
    pub fn of(namespace: &Namespace, pod: &str) -> Self {
        let found = namespace.get("pod", pod)["spec"]["nodeName"].clone();
        let name = found
            .as_str()
            .unwrap_or_else(|| panic!("pod {pod} is on no node"));
        Self { name: name.into() }
    }

    /// Runs a shell script as root with the node's mounts and network, and this machine's processes.
    #[must_use]
    pub fn sh(&self, script: &str) -> Output {
        let mounts = PathBuf::from(settings().get("CLUSTER_RUN"))
            .join(&self.name)
            .join("namespace/mounts");
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .arg(format!("--mount={}", mounts.display()))
            .args(["sh", "-c", script]);
        run(&command, b"")
    }

    /// Bytes that have come and gone through its network interface.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn traffic(&self) -> u64 {
        ["rx_bytes", "tx_bytes"]
            .iter()
            .map(|counter| {
                // The other end of the node's interface, which has the node's name.
                let file = format!("/sys/class/net/{}/statistics/{counter}", self.name);
                let text =
                    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
                text.trim().parse::<u64>().unwrap_or_default()
            })
            .sum()
    }

    /// Everything on the node that names a volume: mounts, and files of the kubelet's and the
    /// driver's; a line each.
    #[must_use]
    pub fn traces_of(&self, handle: &str) -> String {
        self.sh(&format!(
            "grep -F {handle} /proc/self/mountinfo; find /var/lib/kubelet -xdev -path '*{handle}*'; \
             grep -rlF {handle} /var/lib/kubelet/plugins/csi.dlf.dev/state"
        ))
        .text
    }

    /// Pids of the processes that serve the node's FUSE mounts of a volume. None where the kernel
    /// does not say of a descriptor which FUSE connection it is: Linux before 6.16.
    ///
    /// # Panics
    /// Without /proc.
    #[must_use]
    pub fn servers_of(&self, handle: &str) -> Option<Vec<String>> {
        let mounted = self.sh(&format!("grep -F {handle} /proc/self/mountinfo"));
        let connections: Vec<String> = mounted
            .text
            .lines()
            .filter_map(|line| line.split_whitespace().nth(2)?.split_once(':'))
            .map(|(_, minor)| format!("{CONNECTION}{minor}"))
            .collect();
        let mounters: Vec<(String, String)> = fs::read_dir("/proc")
            .unwrap_or_else(|error| panic!("/proc: {error}"))
            .flatten()
            .filter(|process| is_mounter(&process.path()))
            .map(|process| {
                let descriptors = fs::read_dir(process.path().join("fdinfo"));
                let texts = descriptors.into_iter().flatten().flatten();
                let texts = texts.filter_map(|entry| fs::read_to_string(entry.path()).ok());
                let pid = process.file_name().to_string_lossy().into_owned();
                (pid, texts.collect())
            })
            .collect();
        if !mounters.iter().any(|(_, said)| said.contains(CONNECTION)) {
            return None;
        }
        let is_one = |said: &str| {
            said.lines()
                .any(|line| connections.iter().any(|one| one == line))
        };
        let servers = mounters.into_iter().filter(|(_, said)| is_one(said));
        Some(servers.map(|(pid, _)| pid).collect())
    }
}

/// What the kernel says of a descriptor of /dev/fuse, before the connection's number.
const CONNECTION: &str = "fuse_connection:\t";

/// Whether a directory of /proc is one of the mounter's processes.
#[must_use]
pub fn is_mounter(process: &Path) -> bool {
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&arguments).contains("dlf-mounter")
}

/// The S3 server that may be killed, running. Dropped, it is; its data stay.
#[derive(Debug)]
pub struct SecondS3 {
    /// Where it is.
    pub endpoint: String,
}

impl SecondS3 {
    /// Starts it, or finds it running.
    #[must_use]
    pub fn start() -> Self {
        let second = Self {
            endpoint: settings().get("S3_SECOND_ENDPOINT"),
        };
        second.tell("start");
        second
    }

    /// `start` returns when it stores objects, `kill` when it has ended; asked to `stop`, it takes
    /// its time.
    pub fn tell(&self, action: &str) {
        let _ = cluster_script("s3.sh", &["second", action]).expect_ok();
    }
}

impl Drop for SecondS3 {
    fn drop(&mut self) {
        let _ = cluster_script("s3.sh", &["second", "kill"]);
    }
}
