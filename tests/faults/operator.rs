//! The operator away, and its leader killed.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf, time::Duration};

use dlf_tests::{
    Bucket, DATASETS, Namespace, POD_WITHIN, Reader, SLEEP, cluster_script, contains, dataset,
    dataset_with_secret, eventually, find, keys, kubectl_with, on_our_own_cluster, pod, s3,
    settings,
};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::ours::{SYSTEM, is_up, kill_pod, leader, made, ours};

/// A dead leader is noticed after 15 s; then there is work to catch up with.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(2);

const INTERNALS: &str = "datasetsinternal.com.ie.ibm.hpsys";

/// No operator runs, until this is dropped.
struct NoOperator;

impl NoOperator {
    fn at_all() -> Self {
        let away = Self;
        let _ = ours(&["scale", "deployment/dlf-operator", "--replicas=0"]);
        let pods = ["-l", "app.kubernetes.io/component=operator"];
        // Not by force: a pod that is gone by force may run on for some seconds.
        let kill = ["delete", "pod", "--grace-period=1"];
        let _ = ours(&[&kill[..], &pods].concat());
        away
    }
}

impl Drop for NoOperator {
    fn drop(&mut self) {
        let _ = ours(&["scale", "deployment/dlf-operator", "--replicas=2"]);
        is_up("deployment/dlf-operator");
    }
}

#[test]
fn without_an_operator_mounts_go_on_and_only_pods_that_ask_for_datasets_are_refused() {
    if !on_our_own_cluster("it stops the operator") {
        return;
    }
    let reader = Reader::start("away");
    {
        let _away = NoOperator::at_all();
        let namespace = &reader.namespace;
        let asks = pod("asks", "dataset.0.id: books", "true", "");
        eventually("a refusal that names the webhook", POD_WITHIN, || {
            let dry = [
                "-n",
                &namespace.name,
                "apply",
                "--dry-run=server",
                "-f",
                "-",
            ];
            contains(&kubectl_with(&dry, &asks).error, "pods.dlf.dev")
        });
        let _ = namespace.apply(&asks).expect_refused();
        let plain = namespace.run_pod("plain", "app: plain", "echo started", "");
        assert_eq!(plain, "started\n");
        reader.goes_on();
        reader.bucket.put("new.txt", b"new\n");
        let read = namespace.exec("loop", "cat /mnt/datasets/books/new.txt");
        assert_eq!(read.expect_ok(), "new\n");
    }
    assert_eq!(reader.errors(), "");
    eventually("pods to be admitted again", POD_WITHIN, || {
        let asks = pod("asks", "dataset.0.id: books", "true", "");
        let applied = reader.namespace.apply(&asks);
        if applied.ok {
            Ok(())
        } else {
            Err(applied.error)
        }
    });
    reader.namespace.wait_phase("asks", "Succeeded", POD_WITHIN);
}

/// Somebody with every right that RBAC can give.
const ADMINISTRATOR: &str = "kubernetes-admin";

#[test]
fn without_an_operator_labels_of_pods_change_and_what_may_not_change_is_refused_as_before() {
    if !on_our_own_cluster("it stops the operator") {
        return;
    }
    let (namespace, bucket) = (Namespace::new("labels"), Bucket::new("labels"));
    let books = dataset("books", &bucket.name, "");
    let reader = pod("reader", "dataset.0.id: books", SLEEP, "");
    let _ = namespace
        .apply(&format!("{books}---\n{reader}"))
        .expect_ok();
    namespace.wait_ready("reader", POD_WITHIN);
    let _away = NoOperator::at_all();
    for change in [
        [
            "annotate",
            "pod",
            "reader",
            "cni.projectcalico.org/podIP=10.0.0.1/32",
        ],
        ["label", "pod", "reader", "x=y"],
    ] {
        let _ = namespace.kubectl(&change).expect_ok();
    }
    // As network plugins do it.
    let annotated = r#"{"metadata":{"annotations":{"k8s.ovn.org/pod-networks":"{}"}}}"#;
    let status = ["--subresource=status", "-p", annotated];
    let _ = namespace
        .kubectl(&[&["patch", "pod", "reader"], &status[..]].concat())
        .expect_ok();
    let refused = namespace
        .kubectl(&[
            "label",
            "--overwrite",
            "pod",
            "reader",
            "dataset.0.id=other",
        ])
        .expect_refused();
    contains(
        &refused,
        "dataset.0.id: cannot be changed on a pod that is there: its datasets are given to it when it is made",
    )
    .unwrap();
    let elsewhere = r#"{"spec":{"local":{"endpoint":"http://127.0.0.1:1"}}}"#;
    let refused = namespace
        .kubectl(&[
            "patch",
            "datasetinternal",
            "books",
            "--type=merge",
            "-p",
            elsewhere,
        ])
        .expect_refused();
    contains(
        &refused,
        &format!("a DatasetInternal is written by the operator, and {ADMINISTRATOR} is not it"),
    )
    .unwrap();
}

const MANY: usize = 50;

fn many(bucket: &Bucket) -> String {
    (0..MANY).fold(String::new(), |mut manifests, number| {
        let place = format!("{}/p{number}", bucket.name);
        let one = dataset(&format!("d{number}"), &place, "");
        let _ = writeln!(manifests, "{one}---");
        manifests
    })
}

/// Waits until the operator is amid its work.
fn some_are_made(namespace: &Namespace) {
    let made = eventually("some to be made", POD_WITHIN, || {
        match made("persistentvolumes", namespace) {
            made if made >= 5 => Ok(made),
            made => Err(made.to_string()),
        }
    });
    assert!(made < MANY, "all were made before the operator was met");
}

fn all_become_ready(namespace: &Namespace) {
    eventually("all to be ready", CAUGHT_UP_WITHIN, || {
        let listed = namespace.list(DATASETS, "");
        let is_ready = |dataset: &&Value| dataset["status"]["provision"]["status"] == "OK";
        match listed.iter().filter(is_ready).count() {
            MANY => Ok(()),
            ready => Err(format!("{ready} of {MANY}")),
        }
    });
}

#[test]
fn when_the_leader_dies_amid_fifty_new_datasets_all_become_ready_and_nothing_is_made_twice() {
    if !on_our_own_cluster("it kills the operator") {
        return;
    }
    let (namespace, bucket) = (Namespace::new("many"), Bucket::new("many"));
    let manifests = many(&bucket);
    let before = leader();
    std::thread::scope(|scope| {
        let applied = scope.spawn(|| namespace.apply(&manifests));
        some_are_made(&namespace);
        kill_pod(&before);
        let _ = applied.join().unwrap().expect_ok();
    });
    all_become_ready(&namespace);
    assert_ne!(leader(), before);
    let found: BTreeMap<&str, usize> = [
        ("persistentvolumes", MANY),
        ("persistentvolumeclaims", MANY),
        ("configmaps", MANY),
        ("secrets", 2 * MANY), // what consumers read, and inline keys
    ]
    .into_iter()
    .filter(|(kind, wanted)| made(kind, &namespace) != *wanted)
    .collect();
    assert!(found.is_empty(), "not as many as wanted: {found:?}");
    for number in [0, MANY / 2, MANY - 1] {
        namespace.wait_bound(&format!("d{number}"));
    }
}

/// The API server answers nobody, and takes what it is sent, until this is dropped.
struct Silence;

impl Silence {
    fn begin() -> Self {
        let silence = Self;
        let _ = cluster_script("part.sh", &["apiserver", "pause"]).expect_ok();
        silence
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = cluster_script("part.sh", &["apiserver", "continue"]);
    }
}

/// The file on its node with what a pod of ours says: it can be read while no API server answers.
fn log_of(pod: &str) -> PathBuf {
    let found = find("pod", SYSTEM, pod).unwrap();
    let (node, uid) = (&found["spec"]["nodeName"], &found["metadata"]["uid"]);
    let (node, uid) = (node.as_str().unwrap(), uid.as_str().unwrap());
    let logs = PathBuf::from(settings().get("CLUSTER_RUN")).join(node);
    logs.join(format!("pod-logs/{SYSTEM}_{pod}_{uid}/operator/0.log"))
}

/// When a line was written, by the container runtime's clock.
fn written_at(line: &str) -> Timestamp {
    let (time, _) = line.split_once(' ').unwrap();
    time.parse().unwrap()
}

/// A drain lasts as long as a reconcile may: a minute.
const DRAINED_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn a_leader_that_lost_its_lease_leaves_its_work_in_the_midst_of_it() {
    if !on_our_own_cluster("it stops the API server") {
        return;
    }
    let (namespace, bucket) = (Namespace::new("lost"), Bucket::new("lost"));
    let manifests = many(&bucket);
    let log = log_of(&leader());
    let said_before = fs::read_to_string(&log).unwrap().len();
    let said = std::thread::scope(|scope| {
        let _ = scope.spawn(|| namespace.apply(&manifests));
        some_are_made(&namespace);
        let _silence = Silence::begin();
        eventually("the leader to lay its duties down", DRAINED_WITHIN, || {
            let said = fs::read_to_string(&log).unwrap().split_off(said_before);
            contains(&said, "laid down the leader's duties").map(|()| said)
        })
    });
    // What was cut off with the API server's answer is sent again.
    let _ = namespace.apply(&manifests).expect_ok();
    all_become_ready(&namespace);
    assert_eq!(made("persistentvolumes", &namespace), MANY);

    let lines: Vec<&str> = said.lines().collect();
    let line = |part: &str| lines.iter().position(|line| line.contains(part)).unwrap();
    let (lost, laid_down) = (line("leadership changed"), line("laid down"));
    let drained = lines[lost..laid_down]
        .iter()
        .find(|line| line.contains("a reconcile failed"));
    assert_eq!(drained, None, "it waited for what it was at");
    let lease = find("lease", SYSTEM, "dlf-operator").unwrap();
    let held = lease["spec"]["leaseDurationSeconds"].as_i64().unwrap();
    let took = written_at(lines[laid_down]).duration_since(written_at(lines[lost]));
    assert!(took.as_secs() < held, "{took:?} of work without a lease");
}

/// What becomes of a Dataset while its namespace is deleted: its DatasetInternal and its keys go first.
#[test]
fn a_bucket_goes_with_its_dataset_though_everything_else_of_it_went_before() {
    if !on_our_own_cluster("it stops the operator") {
        return;
    }
    let namespace = Namespace::new("last-task");
    let name = format!("made-{}", namespace.name);
    let both = "secret-name: own, provision: \"true\", removeOnDelete: \"true\"";
    let dataset = dataset_with_secret("made", &name, "own").replace("secret-name: own", both);
    let secret = keys(
        "own",
        &settings().get("S3_KEY"),
        &settings().get("S3_SECRET"),
    );
    let _ = namespace
        .apply(&format!("{secret}---\n{dataset}"))
        .expect_ok();
    namespace.wait_dataset("made");
    s3("PUT", &format!("{name}/some/object"), b"text").unwrap();
    {
        let _away = NoOperator::at_all();
        for kind in [INTERNALS, DATASETS] {
            let _ = namespace
                .kubectl(&["delete", kind, "made", "--wait=false"])
                .expect_ok();
        }
        let _ = namespace.kubectl(&["delete", "secret", "own"]).expect_ok();
        assert!(namespace.find(INTERNALS, "made").is_none());
    }
    eventually("the Dataset to go", CAUGHT_UP_WITHIN, || {
        match namespace.find(DATASETS, "made") {
            None => Ok(()),
            Some(still) => Err(still["status"].to_string()),
        }
    });
    let gone = s3("GET", &format!("{name}?list-type=2"), b"").unwrap_err();
    contains(&gone, "NoSuchBucket").unwrap();
}
