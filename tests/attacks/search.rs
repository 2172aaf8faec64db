//! Looks for keys in everything that a cluster shows, writes down or runs.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use dlf_tests::{Node, kubectl, run, settings};
use serde_json::Value;

/// In each key of this test and in nothing else; of 24 letters, so that base64 of what begins with
/// it begins with the base64 of it.
pub(crate) fn mark() -> String {
    let random = fs::read("/proc/sys/kernel/random/uuid").unwrap();
    let random = String::from_utf8(random).unwrap().replace('-', "");
    format!("Mark{}", &random[..20])
}

pub(crate) fn base64(text: &str) -> String {
    let mut command = Command::new("base64");
    let encoded = run(command.arg("-w0"), text.as_bytes()).expect_ok();
    encoded.trim_end().to_owned()
}

/// What is looked for: a key as it is, and as a Secret has it.
pub(crate) struct Keys {
    mark: String,
    encoded: String,
}

impl Keys {
    pub(crate) fn with(mark: &str) -> Self {
        Self {
            mark: mark.to_owned(),
            encoded: base64(mark),
        }
    }

    pub(crate) fn found_in(&self, text: &str) -> bool {
        text.contains(&self.mark) || text.contains(&self.encoded)
    }

    /// A pattern for grep.
    fn pattern(&self) -> String {
        format!("{}|{}", self.mark, self.encoded)
    }

    /// `kind namespace/name` of every object of every kind that has one.
    pub(crate) fn objects(&self) -> BTreeSet<String> {
        let kinds = kubectl(&["api-resources", "--verbs=list", "-o", "name"]).expect_ok();
        let kinds: Vec<&str> = kinds.split_whitespace().collect();
        // Some kinds of the list are served by nobody; what is served is printed all the same.
        let show = ["-A", "-o", "json", "--show-managed-fields"];
        let all = kubectl(&[&["get", &kinds.join(",")], &show[..]].concat()).text;
        let all: Value = serde_json::from_str(&all).unwrap();
        let items = all["items"].as_array().unwrap();
        assert!(items.len() > 50, "the list is of the whole cluster");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let found = items.iter().filter(|item| self.found_in(&item.to_string()));
        let name = |item: &Value| {
            let metadata = &item["metadata"];
            let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
            format!("{} {namespace}/{name}", text(&item["kind"]))
        };
        found.map(name).collect()
    }

    /// Lines of every log: of each container, and of Kubernetes' own programs. Not of the S3 servers,
    /// which are told the keys' ids and write them down.
    fn log_lines(&self) -> String {
        let settings = settings();
        let (logs, nodes) = (settings.get("CLUSTER_LOGS"), settings.get("CLUSTER_RUN"));
        let script = format!(
            "grep -raE --exclude='s3-*' '{}' {logs} {nodes}/*/pod-logs",
            self.pattern()
        );
        sh(&script)
    }

    /// Processes that have one in their arguments or environment, but those of a pod.
    pub(crate) fn processes(&self, but_of: &str) -> Vec<String> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let has_one = |process: &Path| {
            ["cmdline", "environ"].iter().any(|file| {
                let text = fs::read(process.join(file)).unwrap_or_default();
                self.found_in(&String::from_utf8_lossy(&text))
            })
        };
        let found = processes.filter(|process| {
            let cgroup = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
            !cgroup.contains(but_of) && has_one(&process.path())
        });
        let name = |process: fs::DirEntry| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("{} {name}", process.file_name().display())
        };
        found.map(name).collect()
    }

    /// What our programs show of themselves, at each of their HTTP ports.
    fn shown(&self) -> Vec<String> {
        let path = "jsonpath={range .items[*]}{.metadata.name} {.spec.containers[*].ports[?(@.name=='http')].containerPort}\n{end}";
        let pods = kubectl(&["-n", "dlf-system", "get", "pods", "-o", path]).expect_ok();
        let mut found = Vec::new();
        for (pod, port) in pods.lines().filter_map(|line| line.trim().split_once(' ')) {
            for page in ["metrics", "debug/state"] {
                let url = format!("/api/v1/namespaces/dlf-system/pods/{pod}:{port}/proxy/{page}");
                let answer = kubectl(&["get", "--raw", &url]);
                assert!(answer.ok || page != "metrics", "{answer:?}");
                if self.found_in(&answer.text) {
                    found.push(url);
                }
            }
        }
        found
    }

    /// Files on the nodes' disks that hold one; what is on the driver's tmpfs is on no disk.
    fn files(&self) -> String {
        Node::all()
            .iter()
            .map(|node| {
                let find = "find /var/lib/kubelet -xdev -type f";
                node.sh(&format!(
                    "{find} -print0 | xargs -0r grep -laE '{}'",
                    self.pattern()
                ))
                .text
            })
            .collect()
    }

    /// The mounts of the nodes: their options are for everybody to read.
    fn mounts(&self) -> String {
        Node::all()
            .iter()
            .map(|node| {
                node.sh(&format!(
                    "grep -E '{}' /proc/self/mountinfo",
                    self.pattern()
                ))
                .text
            })
            .collect()
    }

    /// Everything but Secrets and the Datasets of `namespace`, which are as they have to be.
    pub(crate) fn are_nowhere_else(&self, namespace: &str, but_of: &str) {
        let is_one_of_its = |object: &String| {
            object.starts_with("Secret ") || object.starts_with(&format!("Dataset {namespace}/"))
        };
        let objects = self.objects();
        let others: Vec<&String> = objects.iter().filter(|one| !is_one_of_its(one)).collect();
        assert_eq!(others, [""; 0], "objects");
        assert_eq!(self.log_lines(), "", "logs");
        assert_eq!(self.processes(but_of), [""; 0], "processes");
        assert_eq!(self.shown(), [""; 0], "what our programs show");
        assert_eq!(self.files(), "", "files on the nodes");
        assert_eq!(self.mounts(), "", "mounts");
    }
}

fn sh(script: &str) -> String {
    run(Command::new("sh").args(["-c", script]), b"").text
}
