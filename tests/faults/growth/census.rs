//! What there is, counted.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use dlf_tests::{Node, list, processes_of_pod};
use serde_json::Value;

use crate::{ours::SYSTEM, requests::raw};

/// Kinds of the category `dlf`: a Dataset, and its internal twin, of both groups.
const DATASETS: [&str; 4] = [
    "datasets.com.ie.ibm.hpsys",
    "datasetsinternal.com.ie.ibm.hpsys",
    "datasets.datashim.io",
    "datasetsinternal.datashim.io",
];
/// Further kinds that a Dataset makes.
const MADE: [&str; 4] = [
    "persistentvolumes",
    "persistentvolumeclaims",
    "configmaps",
    "secrets",
];
/// Kinds in our namespace that we write.
const OURS: [&str; 4] = ["configmaps", "secrets", "leases", "daemonsets"];
/// Resources whose watches over all namespaces are the operator's, or of controllers that do not
/// come and go. Those of single objects are the kubelets', for their pods.
const WATCHED: [&str; 7] = [
    "datasets",
    "datasetsinternal",
    "persistentvolumes",
    "persistentvolumeclaims",
    "configmaps",
    "secrets",
    "pods",
];

/// What is counted, and so how much more there may be later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Each has an owner that has gone: none more.
    Exact,
    /// tokio starts a thread for a blocking call when none is idle, and keeps it for 10 s: what is
    /// done periodically may have one or two.
    Threads,
    /// Of any instant: a probe of the kubelet's, a request to the API server, a line to the log.
    Descriptors,
    /// Lines of /metrics: a reason or verb that the warm-up did not have is shown from then on,
    /// and their number is bounded.
    Lines,
    /// KiB that only this process has, not those of its program's file. An operator that was just
    /// started grows by 1.5 MiB more after the warm-up, one of an hour and the other programs by
    /// nothing. What has 10 MiB may grow by 3. A minute of churn is some 200 Datasets and 10 mounts: it
    /// shows a leak from 16 KiB per Dataset or 300 KiB per mount on, which is one of whole answers or
    /// tasks. Ten minutes show one from 1.6 KiB or 30 KiB on, an hour from 300 bytes or 5 KiB on.
    Memory,
}

impl Kind {
    const fn more(self, before: u64) -> u64 {
        match self {
            Self::Exact => 0,
            Self::Threads => 2,
            Self::Descriptors => 4,
            Self::Lines => 24,
            Self::Memory => (2 << 10) + before / 10,
        }
    }
}

/// All of it at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Census(BTreeMap<String, (Kind, u64)>);

impl Census {
    pub(super) fn take() -> Self {
        let mut census = Self::default();
        census.objects();
        census.watches();
        census.pods();
        for node in Node::all() {
            census.node(&node);
        }
        census
    }

    /// What there is more of than there may be, as sentences.
    pub(super) fn grown(&self, after: &Self) -> Vec<String> {
        let rows = after.0.iter().filter_map(|(name, (kind, now))| {
            let before = self.count(name);
            let more = kind.more(before);
            let said = || format!("{name}: {before} and then {now}, at most {more} more");
            (*now > before + more).then(said)
        });
        rows.collect()
    }

    fn count(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |(_, count)| *count)
    }

    /// What is not as it was; memory never is.
    pub(super) fn changed(&self, after: &Self) -> Vec<String> {
        let names = self.0.keys().chain(after.0.keys());
        let mut changed: Vec<String> = names
            .filter(|name| {
                let (before, now) = (self.0.get(*name), after.0.get(*name));
                let memory = now.is_some_and(|(kind, _)| *kind == Kind::Memory);
                before != now && !memory
            })
            .map(|name| format!("{name}: {:?}, {:?}", self.0.get(name), after.0.get(name)))
            .collect();
        changed.dedup();
        changed
    }

    /// Both as a table.
    pub(super) fn beside(&self, after: &Self) -> String {
        let mut table = format!(
            "{:<64}{:>10}{:>10}{:>10}\n",
            "", "before", "after", "may grow"
        );
        for (name, (kind, now)) in &after.0 {
            let before = self.count(name);
            let more = kind.more(before);
            let _ = writeln!(table, "{name:<64}{before:>10}{now:>10}{more:>10}");
        }
        table
    }

    fn enter(&mut self, name: String, kind: Kind, count: u64) {
        self.0.entry(name).or_insert((kind, 0)).1 += count;
    }

    fn objects(&mut self) {
        let mut count = |of: &str, kind: &str, namespace: &str, labels: &str| {
            let number = list(kind, namespace, labels).len() as u64;
            self.enter(format!("objects {of}: {kind}"), Kind::Exact, number);
        };
        for kind in [DATASETS, MADE].concat() {
            count("labelled as a Dataset's", kind, "", "dlf.dev/dataset-uid");
        }
        for kind in DATASETS {
            count("of the category dlf", kind, "", "");
        }
        for kind in OURS {
            count("in our namespace", kind, SYSTEM, "");
        }
    }

    fn watches(&mut self) {
        let text = raw("/metrics").unwrap();
        let open = text.lines().filter(|line| {
            line.starts_with("apiserver_longrunning_requests{")
                && line.contains("scope=\"cluster\"")
                && line.contains("verb=\"WATCH\"")
        });
        for line in open {
            let label = |name: &str| {
                let value = line.split(&format!("{name}=\"")).nth(1);
                value
                    .and_then(|rest| rest.split('"').next())
                    .unwrap_or_default()
            };
            let number = line.rsplit(' ').next().and_then(|text| text.parse().ok());
            let (group, resource) = (label("group"), label("resource"));
            if WATCHED.contains(&resource) {
                let name = format!("watches of all {resource} {group}");
                self.enter(name, Kind::Exact, number.unwrap_or_default());
            }
        }
    }

    /// Our pods on real nodes: a node that is only an object has no process.
    fn pods(&mut self) {
        let nodes: Vec<String> = Node::all().into_iter().map(|node| node.name).collect();
        for pod in list("pods", SYSTEM, "") {
            let text = |path: &str| {
                pod.pointer(path)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            if !nodes.iter().any(|node| node == text("/spec/nodeName")) {
                continue;
            }
            let name = text("/metadata/name");
            let uid = text("/metadata/uid");
            self.processes(name, uid);
            let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
            let restarts = restarts.as_u64().unwrap_or_default();
            self.enter(format!("{name}: restarts"), Kind::Exact, restarts);
            let ports = pod["spec"]["containers"][0]["ports"].as_array();
            let http = ports
                .into_iter()
                .flatten()
                .find(|port| port["name"] == "http");
            if let Some(port) = http.map(|port| &port["containerPort"]) {
                let path = format!("/api/v1/namespaces/{SYSTEM}/pods/{name}:{port}/proxy/metrics");
                let lines = raw(&path).unwrap().lines().count();
                self.enter(
                    format!("{name}: lines of metrics"),
                    Kind::Lines,
                    lines as u64,
                );
            }
        }
    }

    /// A pod's, all together: the mounter's children, and the programs that they start, are
    /// processes of their own.
    fn processes(&mut self, pod: &str, uid: &str) {
        let found = processes_of_pod(uid);
        let sum = |count: &dyn Fn(&PathBuf) -> u64| found.iter().map(count).sum();
        for (what, kind, number) in [
            ("processes", Kind::Exact, found.len() as u64),
            (
                "threads",
                Kind::Threads,
                sum(&|process| entries(&process.join("task"))),
            ),
            (
                "descriptors",
                Kind::Descriptors,
                sum(&|process| entries(&process.join("fd"))),
            ),
            (
                "KiB of memory",
                Kind::Memory,
                sum(&|process| memory(process)),
            ),
        ] {
            self.enter(format!("{pod}: {what}"), kind, number);
        }
    }

    fn node(&mut self, node: &Node) {
        let plugin = "/var/lib/kubelet/plugins/csi.dlf.dev";
        let pods = "/var/lib/kubelet/pods";
        for (what, list) in [
            ("mounts", "cat /proc/self/mountinfo".to_owned()),
            (
                "entries below the driver's directory",
                format!("find {plugin} -xdev"),
            ),
            // A tmpfs of its own.
            (
                "entries of the driver's state",
                format!("find {plugin}/state -xdev"),
            ),
            ("directories of pods", format!("ls {pods}")),
            (
                "entries in emptyDirs",
                format!("find {pods}/*/volumes/kubernetes.io~empty-dir"),
            ),
        ] {
            let lines = node.sh(&list).text.lines().count();
            self.enter(format!("{}: {what}", node.name), Kind::Exact, lines as u64);
        }
    }
}

fn entries(directory: &Path) -> u64 {
    fs::read_dir(directory).into_iter().flatten().count() as u64
}

fn memory(process: &Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
