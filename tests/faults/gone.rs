//! DLF's namespace deleted under pods, as a person does it who means to be rid of DLF at once.

use std::time::Duration;

use dlf_tests::{
    Namespace, POD_WITHIN, Reader, contains, dataset, eventually, find, helm, helm_with, kubectl,
    on_our_own_cluster, pod, timeout,
};

use crate::ours::{SYSTEM, is_up};

/// Its pods have half a minute, and its CRDs stay.
const GONE_WITHIN: Duration = Duration::from_mins(2);

/// Both groups, as the page for this names them.
const BOTH: &str = "dataset.com.ie.ibm.hpsys,dataset.datashim.io";

/// The release with its values, which is installed again when this is dropped: from nothing.
struct InstalledAgain {
    values: String,
}

impl InstalledAgain {
    fn kept() -> Self {
        let values = ["get", "values", "dlf", "--output", "yaml"];
        Self {
            values: helm(&values).expect_ok(),
        }
    }
}

impl Drop for InstalledAgain {
    fn drop(&mut self) {
        let _ = kubectl(&["apply", "-f", "../deploy/namespace.yaml"]).expect_ok();
        let chart = ["dlf", "../deploy/chart", "--install", "--values", "-"];
        let _ = helm_with(&[&["upgrade"], &chart[..]].concat(), &self.values).expect_ok();
        for workload in [
            "deployment/dlf-operator",
            "deployment/dlf-worker",
            "daemonset/dlf-csi",
        ] {
            is_up(workload);
        }
    }
}

/// The page's one command, for all Datasets of a namespace.
fn let_go(namespace: &Namespace) {
    let deleted = ["delete", BOTH, "--all", "--wait=false", "--output=name"];
    let deleted = namespace.kubectl(&deleted).expect_ok();
    let names: Vec<&str> = deleted.split_whitespace().collect();
    assert!(!names.is_empty(), "{deleted}");
    let patch = [
        "patch",
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ];
    let _ = namespace
        .kubectl(&[&patch[..], &names].concat())
        .expect_ok();
}

#[test]
fn without_the_namespace_of_dlf_all_is_told_datasets_can_go_and_an_installation_heals_mounts() {
    if !on_our_own_cluster("it deletes DLF's namespace") {
        return;
    }
    let reader = Reader::start("gone");
    let namespace = &reader.namespace;
    let device = reader.device();
    let others = ["one", "two"].map(|name| dataset(name, &reader.bucket.name, ""));
    let (emptied, deleted) = (Namespace::new("emptied"), Namespace::new("deleted"));
    for space in [&emptied, &deleted] {
        let _ = space.apply(&others.join("---\n")).expect_ok();
        space.wait_dataset("one");
        space.wait_dataset("two");
    }
    let again = InstalledAgain::kept();
    let delete = ["delete", "namespace", SYSTEM, &timeout(GONE_WITHIN)];
    let _ = kubectl(&delete).expect_ok();

    let plain = namespace.run_pod("plain", "app: plain", "echo started", "");
    assert_eq!(plain, "started\n");
    let asks = pod("asks", "dataset.0.id: books", "true", "");
    let refused = namespace.apply(&asks).expect_refused();
    for words in ["pods.dlf.dev", "service \"dlf-webhook\" not found"] {
        contains(&refused, words).unwrap();
    }
    eventually("the mount to say that nobody serves it", POD_WITHIN, || {
        let read = namespace.exec("loop", "ls /mnt/datasets/books");
        contains(&read.error, "Transport endpoint is not connected")
            .or_else(|_| contains(&read.error, "Socket not connected"))
    });

    let_go(&emptied);
    emptied.wait_gone("dataset.com.ie.ibm.hpsys", "one", GONE_WITHIN);
    let _ = kubectl(&["delete", "namespace", &deleted.name, "--wait=false"]).expect_ok();
    let_go(&deleted);
    eventually("its namespace to go", GONE_WITHIN, || {
        find("namespace", "", &deleted.name).map_or(Ok(()), |left| Err(left["status"].to_string()))
    });

    drop(again);
    reader.is_served_anew(&device);
    reader.another_reads();
    // The volumes of Datasets that were let go: nobody else takes them away.
    for space in [&emptied.name, &deleted.name] {
        let volumes = kubectl(&[
            "get",
            "pv",
            "--selector=dlf.dev/dataset-uid",
            "--output=json",
        ]);
        let volumes = volumes.json();
        let theirs = volumes["items"].as_array().unwrap().iter();
        for volume in theirs.filter(|volume| volume["spec"]["claimRef"]["namespace"] == **space) {
            let name = volume["metadata"]["name"].as_str().unwrap();
            let _ = kubectl(&["delete", "pv", name, "--wait=false"]).expect_ok();
        }
    }
}
