//! Pods of all kinds, and what they say about their mounts themselves.

use dlf_tests::{
    Bucket, Namespace, Node, POD_WITHIN, REFUSED, SLEEP, dataset, eventually, on_our_own_cluster,
    pod, settings, timeout,
};

/// A bucket with a file, and a Dataset `books` of it in a namespace.
fn books(purpose: &str, file: &str) -> (Namespace, Bucket) {
    let (namespace, bucket) = (Namespace::new(purpose), Bucket::new(purpose));
    bucket.put(file, b"hello\n");
    let _ = namespace
        .apply(&dataset("books", &bucket.name, ""))
        .expect_ok();
    (namespace, bucket)
}

#[test]
fn a_pod_that_is_not_root_writes_and_its_fs_group_owns_the_files() {
    let (namespace, _bucket) = books("group", "hello.txt");
    let more = "  securityContext: {runAsUser: 4711, runAsGroup: 4712, fsGroup: 4713}\n";
    let script = "cd /mnt/datasets/books; stat -c %g hello.txt; echo mine > mine.txt; cat mine.txt";
    let log = namespace.run_pod("writer", "dataset.0.id: books", script, more);
    assert_eq!(log, "4713\nmine\n");
}

#[test]
fn a_pod_sees_what_was_written_elsewhere_before_it_started_whatever_its_node_believed() {
    if !on_our_own_cluster("it needs two nodes") {
        return;
    }
    let (namespace, bucket) = (Namespace::new("after"), Bucket::new("after"));
    bucket.put("known.txt", b"old\n");
    // Nothing but a new consumer makes a node ask again.
    let manifest = dataset("books", &bucket.name, "") + "  cache: {revalidate: never}\n";
    let _ = namespace.apply(&manifest).expect_ok();
    let on = |node: &Node| format!("  nodeName: {}\n", node.name);
    let [here, there] = &Node::all()[..] else {
        panic!("our own cluster has two nodes");
    };
    let look = "cd /mnt/datasets/books; cat known.txt; cat r.txt || true; ls";
    let first = pod("first", "dataset.0.id: books", SLEEP, &on(here));
    let _ = namespace.apply(&first).expect_ok();
    namespace.wait_ready("first", POD_WITHIN);
    let before = namespace.exec("first", look).expect_ok();
    assert_eq!(before, "old\nknown.txt\n");
    let write = "cd /mnt/datasets/books; echo new > known.txt; echo r > r.txt";
    let _ = namespace.run_pod("writer", "dataset.0.id: books", write, &on(there));
    let later = namespace.run_pod("later", "dataset.0.id: books", look, &on(here));
    assert_eq!(later, "new\nr\nknown.txt\nr.txt\n");
}

#[test]
fn annotations_choose_path_containers_and_subpath() {
    let (namespace, _bucket) = books("chosen", "deep/er/hello.txt");
    let image = settings().get("TEST_IMAGE");
    let more = format!(
        "  initContainers:\n  - name: other\n    image: {image}\n    command: [sh, -euc, 'test ! -e /data']\n"
    );
    let script = "cat /data/in/hello.txt; ! touch /data/in/x";
    let reader = pod("reader", "dataset.0.id: books", script, &more).replace(
        "  labels:",
        "  annotations: {dataset.0.path: /data/in, dataset.0.containers: main, dataset.0.subpath: deep/er, dataset.0.readonly: \"true\"}\n  labels:",
    );
    let _ = namespace.apply(&reader).expect_ok();
    namespace.wait_phase("reader", "Succeeded", POD_WITHIN);
}

#[test]
fn a_pod_keeps_the_mounts_and_volumes_it_names_itself() {
    let (namespace, _bucket) = books("own", "hello.txt");
    let places = "grep -c /mnt/datasets /proc/self/mounts || true";
    // A mount of the volume that the webhook adds, at a path of the pod's own.
    let named = format!("cat /data/in/hello.txt; {places}");
    let mount = "    volumeMounts: [{name: books, mountPath: /data/in}]\n";
    let named = pod("named", "dataset.0.id: books", &named, "") + mount;
    // A volume of the pod's own on the claim, under another name, mounted in two places.
    let claimed = format!("{REFUSED}cat /one/hello.txt; refused touch /two/x; {places}");
    let volumes = "    volumeMounts: [{name: mine, mountPath: /one}, {name: mine, mountPath: /two, readOnly: true}]\n  \
                   volumes: [{name: mine, persistentVolumeClaim: {claimName: books}}]\n";
    let claimed = pod("claimed", "dataset.0.id: books", &claimed, "") + volumes;
    // A pod without any label, which knows the claim alone.
    let plain = pod(
        "plain",
        "app: plain",
        &format!("cat /one/hello.txt; {places}"),
        "",
    ) + &volumes.replace(", {name: mine, mountPath: /two, readOnly: true}", "");
    let all = format!("{named}---\n{claimed}---\n{plain}");
    let _ = namespace.apply(&all).expect_ok();
    for name in ["named", "claimed", "plain"] {
        namespace.wait_phase(name, "Succeeded", POD_WITHIN);
        let log = namespace.kubectl(&["logs", name]).expect_ok();
        assert_eq!(log, "hello\n0\n", "{name}");
    }
    let volumes = namespace.get("pod", "claimed")["spec"].clone();
    let claims = volumes["volumes"].to_string().matches("claimName").count();
    assert_eq!(claims, 1);
    let mounts = &volumes["containers"][0]["volumeMounts"];
    assert_eq!(mounts[0]["mountPropagation"], "HostToContainer");
}

/// What the template of a workload and the workload's own spec have in common.
fn template(script: &str, restart: &str) -> String {
    let image = settings().get("TEST_IMAGE");
    let script = script.replace('\'', "''");
    format!(
        "  template:\n    metadata:\n      labels: {{app: books, dataset.0.id: books}}\n    spec:\n      restartPolicy: {restart}\n      \
         terminationGracePeriodSeconds: 1\n      containers:\n      - name: main\n        image: {image}\n        \
         command: [sh, -euc, '{script}']\n"
    )
}

#[test]
fn job_stateful_set_and_daemon_set_get_their_datasets_through_their_templates() {
    let (namespace, bucket) = books("templates", "hello.txt");
    // The Dataset's own path, and not the default one.
    let placed = dataset("books", &bucket.name, "") + "  mount: {path: /data/books}\n";
    let _ = namespace.apply(&placed).expect_ok();
    let write = "cp /data/books/hello.txt /data/books/$HOSTNAME.txt";
    let serve = template(&format!("{write}; touch /tmp/done; {SLEEP}"), "Always");
    let probe = "        readinessProbe: {exec: {command: [cat, /tmp/done]}, periodSeconds: 1}\n";
    let selector = "  selector: {matchLabels: {app: books}}\n";
    let workloads = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: job}}\nspec:\n{}---\n\
         apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: set}}\nspec:\n  serviceName: set\n{selector}{serve}{probe}---\n\
         apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: daemon}}\nspec:\n{selector}{serve}{probe}",
        template(write, "Never"),
    );
    let _ = namespace.apply(&workloads).expect_ok();
    let wait = |arguments: &[&str]| {
        let _ = namespace.kubectl(arguments).expect_ok();
    };
    let within = timeout(POD_WITHIN);
    wait(&["wait", "--for=condition=Complete", "job/job", &within]);
    wait(&["rollout", "status", "statefulset/set", &within]);
    wait(&["rollout", "status", "daemonset/daemon", &within]);
    let mut wanted: Vec<String> = namespace
        .list("pods", "")
        .iter()
        .map(|pod| format!("{}.txt", pod["metadata"]["name"].as_str().unwrap()))
        .chain(["hello.txt".to_owned()])
        .collect();
    wanted.sort();
    assert!(wanted.len() >= 4, "{wanted:?}");
    eventually("a file of every pod", POD_WITHIN, || {
        let keys = bucket.keys();
        if keys == wanted {
            Ok(())
        } else {
            Err(format!("{keys:?}, not {wanted:?}"))
        }
    });
}
