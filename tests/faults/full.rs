//! Nodes with no room left, for memory and for pods.

use std::{fs, path::PathBuf};

use dlf_tests::{
    Node, POD_WITHIN, Reader, SLEEP, Values, await_object, cluster_script, find, list,
    nothing_is_left, on_our_own_cluster, pod, settings, upgrade,
};
use serde_json::Value;

/// Less than a mounter asks for.
const LEFT_OVER: u64 = 16 << 20;

#[test]
fn on_a_node_without_room_a_new_mounter_takes_a_lesser_pods_place_and_a_reading_pod_has_no_error() {
    if !on_our_own_cluster("it restarts a kubelet with other limits") {
        return;
    }
    nothing_is_left(); // pods that go take room, and then do not
    let _kept = Values::kept();
    let reader = Reader::start("full");
    let free = allocatable(&reader.node) - requested(&reader.node);
    let request = format!("{}", free - LEFT_OVER);
    new_mounter_beside_a_filler(&reader, "memory", &request);

    let limit = PodLimit::at_what_runs(&reader.node);
    new_mounter_beside_a_filler(&reader, "pods", "1Mi");
    drop(limit);
    reader.another_reads();
}

/// Fills the reader's node with a pod that asks for this much memory, and rolls out a new mounter,
/// for which there is room in that pod's place only.
fn new_mounter_beside_a_filler(reader: &Reader, name: &str, memory: &str) {
    let namespace = &reader.namespace;
    let filler = pod(
        name,
        "app: filler",
        SLEEP,
        &format!(
            "  nodeSelector: {{kubernetes.io/hostname: {}}}\n",
            reader.node.name
        ),
    )
    .replace(
        "    command:",
        &format!("    resources: {{requests: {{memory: \"{memory}\"}}}}\n    command:"),
    );
    let _ = namespace.apply(&filler).expect_ok();
    namespace.wait_ready(name, POD_WITHIN);
    upgrade(&["--set", &format!("mounter.podAnnotations.room={name}")]);
    namespace.wait_gone("pod", name, POD_WITHIN);
    reader.goes_on();
    assert_eq!(reader.errors(), "");
}

/// A kubelet that takes no more pods than one beyond those it runs. Dropped, it does again.
struct PodLimit {
    node: Node,
    file: PathBuf,
    before: String,
}

impl PodLimit {
    fn at_what_runs(node: &Node) -> Self {
        let file = PathBuf::from(settings().get("CLUSTER_RUN"))
            .join(&node.name)
            .join("kubelet.yaml");
        let before = fs::read_to_string(&file).unwrap();
        let limit = pods_of(node).len() + 1;
        let limited: String = before
            .lines()
            .map(|line| match line.split_once(": ") {
                Some(("maxPods", _)) => format!("maxPods: {limit}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(
            limited,
            before,
            "{} says nothing of maxPods",
            file.display()
        );
        let taken = Self {
            node: node.clone(),
            file,
            before,
        };
        taken.write(&limited);
        let limit = limit.to_string();
        let object = ("node", "", node.name.as_str());
        await_object("the node to say so", POD_WITHIN, object, |found| {
            let says = &found.ok_or("there is none")?["status"]["allocatable"]["pods"];
            if says.as_str() == Some(limit.as_str()) {
                Ok(())
            } else {
                Err(says.to_string())
            }
        });
        taken
    }

    fn write(&self, text: &str) {
        fs::write(&self.file, text).unwrap();
        let _ = cluster_script("node.sh", &[&self.node.name, "restart-kubelet"]).expect_ok();
    }
}

impl Drop for PodLimit {
    fn drop(&mut self) {
        self.write(&self.before);
    }
}

/// Pods on a node that have not ended.
fn pods_of(node: &Node) -> Vec<Value> {
    let mut pods = list("pods", "", "");
    pods.retain(|pod| {
        let has_ended = ["Succeeded", "Failed"]
            .iter()
            .any(|phase| pod["status"]["phase"] == *phase);
        pod["spec"]["nodeName"] == node.name && !has_ended
    });
    pods
}

fn allocatable(node: &Node) -> u64 {
    let found = find("node", "", &node.name).unwrap();
    bytes(found["status"]["allocatable"]["memory"].as_str().unwrap())
}

/// Memory that the pods of a node ask for.
fn requested(node: &Node) -> u64 {
    let pods = pods_of(node);
    let containers = pods.iter().flat_map(|pod| {
        pod["spec"]["containers"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    });
    let memory = containers.map(|container| {
        container["resources"]["requests"]["memory"]
            .as_str()
            .map_or(0, bytes)
    });
    memory.sum()
}

/// Of a Kubernetes quantity.
fn bytes(quantity: &str) -> u64 {
    let digits = quantity.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits
        .parse()
        .unwrap_or_else(|error| panic!("{quantity}: {error}"));
    match &quantity[digits.len()..] {
        "" => number,
        "Ki" => number << 10,
        "Mi" => number << 20,
        "Gi" => number << 30,
        unit => panic!("{quantity}: unit {unit}"),
    }
}
