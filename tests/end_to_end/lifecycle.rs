//! Datasets that come late, are deleted while pods use them, and go.

use std::{path::PathBuf, time::Duration};

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, Node, POD_WITHIN, SLEEP, contains, dataset,
    dataset_with_secret, eventually, is_mounter, keys, kubectl, on_our_own_cluster, pod, settings,
    timeout,
};

/// What nothing keeps any more: a Dataset without pods, a namespace without Datasets.
const GONE_WITHIN: Duration = Duration::from_mins(1);

/// A bucket, a Dataset `books` of it, and a pod `user` that runs with it.
fn in_use(purpose: &str) -> (Namespace, Bucket) {
    let (namespace, bucket) = (Namespace::new(purpose), Bucket::new(purpose));
    bucket.put("hello.txt", b"hello\n");
    let both = format!(
        "{}---\n{}",
        dataset("books", &bucket.name, ""),
        pod("user", "dataset.0.id: books", SLEEP, "")
    );
    let _ = namespace.apply(&both).expect_ok();
    namespace.wait_ready("user", POD_WITHIN);
    (namespace, bucket)
}

#[test]
fn a_pod_waits_for_a_late_secret_and_its_events_say_so() {
    let (namespace, bucket) = (Namespace::new("waits"), Bucket::new("waits"));
    bucket.put("hello.txt", b"hello\n");
    let script = "cat /mnt/datasets/books/hello.txt";
    let both = format!(
        "{}---\n{}",
        dataset_with_secret("books", &bucket.name, "my-keys"),
        pod("reader", "dataset.0.id: books", script, "")
    );
    let _ = namespace.apply(&both).expect_ok();
    eventually(
        "an event of the pod that names the Secret",
        POD_WITHIN,
        || contains(&namespace.events("reader"), "my-keys"),
    );
    let (key, secret) = (settings().get("S3_KEY"), settings().get("S3_SECRET"));
    let _ = namespace.apply(&keys("my-keys", &key, &secret)).expect_ok();
    namespace.wait_phase("reader", "Succeeded", Duration::from_secs(150));
}

#[test]
fn a_dataset_in_use_stays_until_its_last_pod_has_gone() {
    let (namespace, _bucket) = in_use("inuse");
    let kind = format!("{DATASETS}/books");
    let (_, message) = namespace.wait_condition(&kind, "InUse", "True", NAMED_WITHIN);
    contains(&message, "user").unwrap();
    let _ = namespace
        .kubectl(&["delete", &kind, "--wait=false"])
        .expect_ok();
    let read = namespace.exec("user", "cat /mnt/datasets/books/hello.txt");
    assert_eq!(read.expect_ok(), "hello\n");
    let late = pod("late", "dataset.0.id: books", SLEEP, "");
    contains(&namespace.apply(&late).expect_refused(), "deleted").unwrap();
    let _ = namespace.kubectl(&["delete", "pod", "user"]).expect_ok();
    namespace.wait_gone(DATASETS, "books", GONE_WITHIN);
    assert_eq!(namespace.traces(), "");
}

#[test]
fn a_claim_deleted_while_a_pod_uses_it_is_made_again_when_the_pod_has_gone() {
    let (namespace, _bucket) = in_use("claim");
    let before = namespace.get("pvc", "books")["metadata"]["uid"].clone();
    let _ = namespace
        .kubectl(&["delete", "pvc", "books", "--wait=false"])
        .expect_ok();
    let kind = format!("{DATASETS}/books");
    let (reason, message) = namespace.wait_condition(&kind, "Ready", "False", NAMED_WITHIN);
    assert_eq!(reason, "Terminating", "{message}");
    contains(&message, "once the pods that use it have gone").unwrap();
    let read = namespace.exec("user", "cat /mnt/datasets/books/hello.txt");
    assert_eq!(read.expect_ok(), "hello\n");
    let _ = namespace.kubectl(&["delete", "pod", "user"]).expect_ok();
    namespace.wait_dataset("books");
    namespace.wait_bound("books");
    assert_ne!(namespace.get("pvc", "books")["metadata"]["uid"], before);
    let script = "cat /mnt/datasets/books/hello.txt";
    let log = namespace.run_pod("next", "dataset.0.id: books", script, "");
    assert_eq!(log, "hello\n");
}

/// Everything in the cluster, of every kind that can be listed, that `mentions` finds in its JSON.
fn everything_with(mentions: &[&str]) -> Vec<String> {
    let kinds = kubectl(&["api-resources", "--verbs=list", "-o", "name"]).expect_ok();
    // Events tell what was and go by themselves.
    let kinds = kinds
        .split_whitespace()
        .filter(|kind| !kind.starts_with("events"));
    let kinds: Vec<&str> = kinds.collect();
    // Some kinds of the list are served by nobody; what is served is printed all the same.
    let all = kubectl(&["get", &kinds.join(","), "-A", "-o", "json"]).text;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let items = all["items"].as_array().unwrap();
    assert!(items.len() > 50, "the list is of the whole cluster");
    let found = items.iter().filter(|item| {
        let text = item.to_string();
        mentions.iter().any(|word| text.contains(word))
    });
    found
        .map(|item| format!("{} {}", item["kind"], item["metadata"]["name"]))
        .collect()
}

#[test]
fn of_a_deleted_namespace_nothing_is_left_in_the_cluster_or_on_a_node() {
    if !on_our_own_cluster("it looks into the nodes") {
        return;
    }
    let (namespace, _bucket) = in_use("leaves");
    let uid = namespace.get(DATASETS, "books")["metadata"]["uid"].clone();
    let uid = uid.as_str().unwrap();
    let handle = format!("dlf-{uid}");
    // On both nodes, one of them with a file system for a group as well.
    for node in Node::all() {
        let more = format!(
            "  nodeName: {}\n  securityContext: {{fsGroup: 7}}\n",
            node.name
        );
        let user = pod(&node.name, "dataset.0.id: books", SLEEP, &more);
        let _ = namespace.apply(&user).expect_ok();
        namespace.wait_ready(&node.name, POD_WITHIN);
        assert!(!node.traces_of(&handle).is_empty());
    }
    let servers = Node::all()
        .iter()
        .map(|node| node.servers_of(&handle))
        .collect::<Option<Vec<_>>>();
    match &servers {
        Some(servers) => assert!(servers.iter().all(|pids| !pids.is_empty()), "{servers:?}"),
        None => {
            println!("SKIPPED no_process_is_left: this kernel does not tell who serves a mount");
        }
    }
    let name = namespace.name.clone();
    assert!(everything_with(&[uid, &name]).len() > 5);
    namespace.remove();
    let gone = [
        "wait",
        "--for=delete",
        &timeout(GONE_WITHIN),
        "namespace",
        &name,
    ];
    let _ = kubectl(&gone).expect_ok();
    assert_eq!(everything_with(&[uid, &name]), [""; 0]);
    for node in Node::all() {
        eventually("the node to forget it", NAMED_WITHIN, || {
            let traces = node.traces_of(&handle);
            if traces.is_empty() {
                Ok(())
            } else {
                Err(traces)
            }
        });
    }
    for pid in servers.into_iter().flatten().flatten() {
        let process = PathBuf::from("/proc").join(&pid);
        eventually("its processes to end", NAMED_WITHIN, || {
            if is_mounter(&process) {
                Err(pid.clone())
            } else {
                Ok(())
            }
        });
    }
}
