//! Refusals: each names what was found, where, and the way out.

use std::time::Duration;

use dlf_tests::{Namespace, contains, kubectl};

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
    let (what, within) = ("Secret d-source", Duration::from_secs(20));
    let secret = namespace.await_object(what, within, "secret", "d-source", |secret| {
        secret.cloned().ok_or_else(|| "there is none".to_owned())
    });
    assert_eq!(secret["data"]["secretAccessKey"], "bm90LWZvci1sb2dz");
    let internal = namespace.get("datasetinternal", "d").to_string();
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
    contains(&refused, "DatasetInternal").unwrap();
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
    let refused = namespace
        .kubectl(&["label", "--overwrite", "pod", "p", "dataset.0.id=e"])
        .expect_refused();
    contains(&refused, "dataset.0.id").unwrap();
    let status = r#"{"metadata":{"labels":{"dataset.0.id":"e"}}}"#;
    let refused = namespace
        .kubectl(&["patch", "pod", "p", "--subresource=status", "-p", status])
        .expect_refused();
    contains(&refused, "dataset.0.id").unwrap();
    let _ = namespace
        .kubectl(&["label", "pod", "p", "colour=blue"])
        .expect_ok();
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
