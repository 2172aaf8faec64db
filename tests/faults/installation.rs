//! Upgrading and uninstalling DLF beneath pods that read and write.

use std::{path::Path, process::Command, thread, time::Duration};

use dlf_tests::{
    DATASETS, LONG_LIMIT, POD_WITHIN, Reader, Values, await_object, contains, eventually, find,
    helm, helm_with, installed_mounter, list, nothing_is_left, on_our_own_cluster, run_within,
    upgrade,
};

use crate::{
    ours::{SYSTEM, made, names, ours},
    writers::Writers,
};

/// An unused mounter is looked at for a minute before it goes.
const OLD_MOUNTER_GONE_WITHIN: Duration = Duration::from_mins(3);

/// The mounters, as kubectl names them.
fn mounters() -> Vec<String> {
    let listed = list("daemonset", SYSTEM, "app.kubernetes.io/component=mounter");
    let named = names(&listed).into_iter();
    named.map(|name| format!("daemonset.apps/{name}")).collect()
}

/// Installs the working tree again when dropped, whatever a test left.
struct InstalledAgain;

impl Drop for InstalledAgain {
    fn drop(&mut self) {
        let script = Path::new("../deploy/scripts/install.sh");
        let installed = run_within(LONG_LIMIT, &Command::new(script), b"");
        if thread::panicking() {
            eprintln!("installing again: {}", installed.error);
        } else {
            let _ = installed.expect_ok();
        }
    }
}

#[test]
fn upgrading_every_part_gives_pods_that_read_and_write_no_error_and_loses_nothing() {
    if !on_our_own_cluster("it restarts every part of DLF") {
        return;
    }
    let _kept = Values::kept();
    let reader = Reader::start("upgrade");
    let writers = Writers::beside(&reader);
    let device = reader.device();
    let parts = ["operator", "worker", "csi", "mounter"];
    let values: Vec<String> = parts
        .iter()
        .flat_map(|part| {
            [
                "--set".to_owned(),
                format!("{part}.podAnnotations.upgraded=yes"),
            ]
        })
        .collect();
    upgrade(&values.iter().map(String::as_str).collect::<Vec<_>>());
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    assert_eq!(reader.device(), device, "the mount is the one it was");
    reader.another_reads();
    writers.go_on();
    writers.end();
    drop(reader);
    let installed = installed_mounter();
    eventually("older mounters to go", OLD_MOUNTER_GONE_WITHIN, || {
        let left = mounters();
        if left == [installed.as_str()] {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    });
}

#[test]
fn uninstalling_is_refused_while_a_pod_uses_a_dataset_and_then_leaves_datasets_alone() {
    if !on_our_own_cluster("it uninstalls DLF") {
        return;
    }
    nothing_is_left(); // a pod that still goes keeps DLF too
    let reader = Reader::start("uninstall");
    let namespace = &reader.namespace;
    let again = InstalledAgain;

    let _ = helm(&["uninstall", "dlf", "--timeout", "2m"]).expect_refused();
    let log = ours(&["logs", "job/dlf-uninstall"]);
    contains(&log, &format!("pod {}/loop uses books", namespace.name)).unwrap();
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    reader.another_reads();

    let _ = namespace.kubectl(&["delete", "pod", "--all"]).expect_ok();
    let _ = helm(&["uninstall", "dlf", "--timeout", "3m"]).expect_ok();
    for kind in [
        "persistentvolumes",
        "persistentvolumeclaims",
        "configmaps",
        "secrets",
    ] {
        assert_eq!(made(kind, namespace), 0, "{kind}");
    }
    assert_eq!(mounters(), Vec::<String>::new());
    assert!(find("namespace", "", "dlf-caches").is_none());
    for kind in [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "csidrivers",
    ] {
        let left = list(kind, "", "");
        let left = names(&left).join(" ");
        assert!(!left.contains("dlf"), "{kind}: {left}");
    }
    let dataset = namespace.get(DATASETS, "books");
    assert!(dataset["metadata"]["finalizers"].is_null(), "{dataset}");
    // Nobody is asked any more: this pod starts, without data.
    let _ = namespace.run_pod("alone", "dataset.0.id: books", "true", "");

    drop(again);
    namespace.wait_dataset("books");
    reader.another_reads();
}

/// The chart as it was first packaged, from before it had a hook.
const FIRST_CHART: &str = "./faults/charts/dlf-0.1.0-first.tgz";

/// Values that `make install` sets and that chart refuses, for it does not know them: where, and which.
const NEWER_VALUES: [(&str, &str); 2] = [("", "pluginHost"), ("/mounter", "staging")];

/// Where caches are, other than by default.
const OTHER_CACHES: &str = "dlf-caches-elsewhere";

/// It has one form: each of its steps stands on the one before, and none has a size.
#[test]
fn the_first_chart_is_upgraded_beneath_a_reading_pod_and_by_force_uninstalled_under_it() {
    if !on_our_own_cluster("it installs an older DLF, and uninstalls it under a pod") {
        return;
    }
    nothing_is_left();
    let mut values = helm(&["get", "values", "dlf", "-o", "json"]).json();
    for (part, newer) in NEWER_VALUES {
        let _ = values
            .pointer_mut(part)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(newer);
    }
    let values = values.to_string();
    let again = InstalledAgain;
    let _ = helm(&["uninstall", "dlf", "--timeout", "3m"]).expect_ok();
    let install = ["install", "dlf", FIRST_CHART, "--wait", "--timeout", "3m"];
    let _ = helm_with(&[&install[..], &["-f", "-"]].concat(), &values).expect_ok();

    let reader = Reader::start("older");
    let namespace = &reader.namespace;
    upgrade(&[
        "--set",
        "uninstall.force=true",
        "--set",
        &format!("caches.namespace={OTHER_CACHES}"),
    ]);
    await_object(
        "the namespace of caches",
        POD_WITHIN,
        ("namespace", "", OTHER_CACHES),
        |found| found.map(|_| ()).ok_or_else(|| "there is none".to_owned()),
    );
    reader.goes_on();
    assert_eq!(reader.errors(), "");
    reader.another_reads();

    let _ = helm(&["uninstall", "dlf", "--timeout", "3m"]).expect_ok();
    let dataset = namespace.get(DATASETS, "books");
    assert!(dataset["metadata"]["finalizers"].is_null(), "{dataset}");
    assert_eq!(mounters(), Vec::<String>::new());
    assert!(find("namespace", "", OTHER_CACHES).is_none());
    // What the documentation says breaks: the pod keeps its claim, and nobody serves its files.
    let claim = namespace.get("pvc", "books");
    let leaving = &claim["metadata"]["deletionTimestamp"];
    assert!(leaving.is_string(), "{claim}");

    drop(again);
    let _ = namespace.kubectl(&["delete", "pod", "--all"]).expect_ok();
    namespace.wait_dataset("books");
    let _ = namespace.run_pod(
        "after",
        "dataset.0.id: books",
        "cat /mnt/datasets/books/hello.txt",
        "",
    );
}
