//! Refusals: each names what was found, where, and the way out.

use std::time::Duration;

use dlf_tests::{NAMED_WITHIN, Namespace, contains, kubectl};

const OPERATOR: &str = "system:serviceaccount:dlf-system:dlf-operator";

fn pod(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\nspec:\n  containers:\n  - \
         name: main\n    image: none\n  nodeSelector: {{nowhere: \"true\"}}\n"
    )
}

fn dataset(name: &str, local: &str) -> String {
    format!(
        "apiVersion: com.ie.ibm.hpsys/v1alpha1\nkind: Dataset\nmetadata:\n  name: {name}\nspec:\n  local: {{{local}}}\n"
    )
}

const BUCKET: &str = "type: COS, endpoint: \"http://10.85.255.2:8333\", bucket: books";

#[test]
fn labels_that_cannot_be_meant_are_refused_with_the_label_named() {
    let namespace = Namespace::new("labels");
    for (labels, named) in [
        ("dataset.0.id: nowhere", "nowhere"),
        ("dataset.0.useas: mount", "dataset.0.useas"),
        ("dataset.0.id: a, dataset.0.useas: copy", "copy"),
        ("dataset.x.id: a", "dataset.x.id"),
        ("dataset.0.idd: a", "dataset.0.idd"),
        ("dataset.0.id: a, dataset.1.id: a", "dataset.1.id"),
        ("dataset.-1.id: a", "dataset.-1.id"),
        ("dataset.99999999999999999999.id: a", "99999999999999999999"),
    ] {
        let refused = namespace.apply(&pod("p", labels)).expect_refused();
        contains(&refused, named).unwrap();
    }
    let _ = namespace
        .apply(&pod(
            "stranger",
            "dataset: mine, dataset.owner: me, dataset.team.owner: us",
        ))
        .expect_ok();
}

#[test]
fn specs_that_cannot_work_are_refused_with_the_key_named() {
    let namespace = Namespace::new("specs");
    for (local, named) in [
        ("type: S3", "found 'S3'"),
        ("type: COS, bucket: books", "spec.local.endpoint is missing"),
        (
            "type: COS, endpoint: \"s3.example.com\", bucket: books",
            "s3.example.com",
        ),
        (
            "type: COS, endpoint: \"http://s3:0\", bucket: books",
            "from 1 to 65535",
        ),
        (
            "type: COS, endpoint: \"https://[2001:db8::1]:65536/\", bucket: books",
            "from 1 to 65535",
        ),
        ("type: HOST, path: \"/\"", "below /"),
        (&format!("{BUCKET}, buckett: x"), "buckett"),
        (&format!("{BUCKET}, readonly: \"yes\""), "yes"),
        (
            &format!("{BUCKET}, folder: a, region: \"\", secret-namespace: other"),
            "secret-namespace",
        ),
        (
            "type: COS, endpoint: \"http://s3\", bucket: \"books/a\", folder: b",
            "agree",
        ),
        ("type: NFS, server: nfs", "spec.local.share is missing"),
        ("type: HOST, path: \"/etc\"", "namespace"),
    ] {
        let answer = namespace.apply(&dataset("d", local));
        assert!(!answer.ok, "{local} was taken");
        contains(&answer.error, named).unwrap();
    }
    let refused = namespace.apply(&dataset("a.b", BUCKET)).expect_refused();
    contains(&refused, "DNS label").unwrap();
}

#[test]
fn inline_keys_are_taken_with_a_warning() {
    let namespace = Namespace::new("inline");
    let local = format!("{BUCKET}, accessKeyID: id, secretAccessKey: \"not-for-logs\"");
    let applied = namespace.apply(&dataset("d", &local));
    contains(&applied.error, "secret-name").unwrap();
    let _ = applied.expect_ok();
    let made = |what, kind, name| {
        namespace.await_object(what, Duration::from_secs(20), kind, name, |made| {
            made.cloned().ok_or_else(|| "there is none".to_owned())
        })
    };
    let secret = made("Secret d-source", "secret", "d-source");
    assert_eq!(secret["data"]["secretAccessKey"], "bm90LWZvci1sb2dz");
    let internal = made("DatasetInternal d", "datasetinternal", "d").to_string();
    assert!(!internal.contains("not-for-logs"), "{internal}");
}

#[test]
fn the_younger_of_two_datasets_of_one_name_is_refused() {
    let namespace = Namespace::new("rivals");
    let _ = namespace.apply(&dataset("d", BUCKET)).expect_ok();
    let other = dataset("d", BUCKET).replace("com.ie.ibm.hpsys", "datashim.io");
    contains(
        &namespace.apply(&other).expect_refused(),
        "com.ie.ibm.hpsys",
    )
    .unwrap();
}

#[test]
fn nobody_but_the_operator_writes_a_dataset_internal() {
    let namespace = Namespace::new("backdoor");
    let internal = dataset("d", BUCKET).replace("kind: Dataset", "kind: DatasetInternal");
    let refused = namespace.apply(&internal).expect_refused();
    contains(
        &refused,
        "a DatasetInternal is written by the operator, and kubernetes-admin is not it",
    )
    .unwrap();
}

#[test]
fn a_dataset_and_its_pod_come_in_one_apply_a_hundred_times() {
    let namespace = Namespace::new("together");
    for number in 0..100 {
        let name = format!("d{number}");
        let both = format!(
            "{}---\n{}",
            dataset(&name, BUCKET),
            pod(&name, &format!("dataset.0.id: {name}"))
        );
        let _ = namespace.apply(&both).expect_ok();
    }
    let volumes = namespace.kubectl(&[
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].spec.volumes[*].persistentVolumeClaim.claimName}",
    ]);
    assert_eq!(volumes.expect_ok().split_whitespace().count(), 100);
}

#[test]
fn dataset_labels_of_a_pod_do_not_change_after_it_was_made() {
    let namespace = Namespace::new("updates");
    let _ = namespace.apply(&dataset("d", BUCKET)).expect_ok();
    let _ = namespace.apply(&pod("p", "dataset.0.id: d")).expect_ok();
    // What kubectl is given, and the key that the refusal begins with.
    for (change, named) in [
        (["label", "--overwrite", "dataset.0.id=e"], "dataset.0.id"),
        (["label", "--overwrite", "dataset.0.id-"], "dataset.0.id"),
        (["label", "--overwrite", "dataset.1.id=e"], "dataset.1.id"),
        (
            ["label", "--overwrite", "dataset.x.useas=mount"],
            "dataset.x.useas",
        ),
        (
            ["label", "--overwrite", "dataset.-3.word=e"],
            "dataset.-3.word",
        ),
        (
            ["label", "--overwrite", "dlf.dev/uses-datasets-"],
            "dlf.dev/uses-datasets",
        ),
        (
            ["annotate", "--overwrite", "dataset.0.subpath=x"],
            "dataset.0.subpath",
        ),
        (
            ["annotate", "--overwrite", "dataset.x.path=/x"],
            "dataset.x.path",
        ),
        (
            ["annotate", "--overwrite", "dlf.dev/volumes=e"],
            "dlf.dev/volumes",
        ),
    ] {
        let [verb, flag, what] = change;
        let refused = namespace.kubectl(&[verb, flag, "pod", "p", what]);
        let said = format!("denied request: {named}: cannot be changed on a pod that is there");
        contains(&refused.expect_refused(), &said).unwrap();
    }
    let status = r#"{"metadata":{"labels":{"dataset.0.id":"e"}}}"#;
    let refused = namespace
        .kubectl(&["patch", "pod", "p", "--subresource=status", "-p", status])
        .expect_refused();
    contains(&refused, "dataset.0.id: cannot be changed").unwrap();
    for (verb, others) in [
        ("label", "colour=blue"),
        ("label", "dataset=mine"),
        ("label", "dataset.team.owner=b"),
        ("label", "dataset.0.id.old=b"),
        ("label", "dataset.0.a.b=c"),
        ("annotate", "dataset.x.id=e"),
        ("annotate", "colour=blue"),
    ] {
        let _ = namespace.kubectl(&[verb, "pod", "p", others]).expect_ok();
    }
}

#[test]
fn whoever_deletes_a_dataset_internal_may_take_finalizers_off_it_and_write_nothing_else() {
    let namespace = Namespace::new("leaving");
    let _ = namespace.apply(&dataset("d", BUCKET)).expect_ok();
    namespace.await_object(
        "DatasetInternal d",
        NAMED_WITHIN,
        "datasetinternal",
        "d",
        |found| found.map(|_| ()).ok_or_else(|| "there is none".to_owned()),
    );
    let patch = |patch: &str, more: &[&str]| {
        let patch = ["patch", "datasetinternal", "d", "--type=merge", "-p", patch];
        namespace.kubectl(&[&patch, more].concat())
    };
    let held = r#"{"metadata":{"finalizers":["test.example.com/held"]}}"#;
    let refused = patch(held, &[]).expect_refused();
    contains(&refused, "a DatasetInternal is written by the operator").unwrap();
    let _ = patch(held, &["--as", OPERATOR]).expect_ok();
    let delete = ["delete", "datasetinternal", "d", "--wait=false"];
    let _ = namespace.kubectl(&delete).expect_ok();
    for refused in [
        patch(
            r#"{"spec":{"local":{"endpoint":"http://127.0.0.1:1"}}}"#,
            &[],
        ),
        patch(
            r#"{"status":{"provision":{"info":"forged"}}}"#,
            &["--subresource=status"],
        ),
    ] {
        contains(
            &refused.expect_refused(),
            "have an administrator add kubernetes-admin to admission.internal_writers",
        )
        .unwrap();
    }
    let before = namespace.get("datasetinternal", "d")["metadata"]["uid"].clone();
    let _ = patch(r#"{"metadata":{"finalizers":null}}"#, &[]).expect_ok();
    let _ = namespace.wait_made_again("datasetinternal", "d", &before);
}

#[test]
fn a_namespace_can_be_switched_off() {
    let namespace = Namespace::new("off");
    let off = "monitor-pods-datasets=disabled";
    let _ = kubectl(&["label", "namespace", &namespace.name, off]).expect_ok();
    let _ = namespace
        .apply(&pod("p", "dataset.0.id: nowhere"))
        .expect_ok();
}

#[test]
fn a_pod_that_leaves_no_room_for_a_dataset_is_refused() {
    let namespace = Namespace::new("room");
    let both = format!("{}---\n{}", dataset("a", BUCKET), dataset("b", BUCKET));
    let _ = namespace.apply(&both).expect_ok();
    let two = pod("p", "dataset.0.id: a, dataset.1.id: b");
    let taken = "  volumes:\n  - name: a\n    emptyDir: {}\n";
    let mounted = "    volumeMounts: [{name: mine, mountPath: /mnt/datasets/a}]\n  \
                   volumes: [{name: mine, emptyDir: {}}]\n  nodeSelector:";
    for (manifest, named) in [
        (format!("{two}{taken}"), "volume a"),
        (
            two.replace("  nodeSelector:", mounted),
            "volume mine mounted at /mnt/datasets/a",
        ),
        (
            two.replace(
                "  labels:",
                "  annotations: {dataset.1.path: /mnt/datasets/a}\n  labels:",
            ),
            "/mnt/datasets/a",
        ),
        (
            two.replace(
                "  labels:",
                "  annotations: {dataset.1.containers: \"main,other\"}\n  labels:",
            ),
            "no container other",
        ),
    ] {
        let refused = namespace.apply(&manifest).expect_refused();
        contains(&refused, named).unwrap();
    }
}
