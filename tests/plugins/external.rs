//! A caching plugin that is a controller of its own; the test plays it.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, contains, dataset, dataset_with_secret, keys,
    kubectl_with, settings,
};

use crate::installed::with_plugins;

const THIRD: &str = "system:serviceaccount:dlf-system:third";

/// Rights that its own installation would give it.
const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: third}\nrules:\n\
    - {apiGroups: [com.ie.ibm.hpsys], resources: [datasetsinternal], verbs: [get, create, patch]}\n---\n\
    apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: third}\n\
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: third}\nsubjects:\n\
    - {kind: ServiceAccount, name: third, namespace: dlf-system}\n";

#[test]
fn a_dataset_waits_for_the_controller_that_is_its_plugin_and_reads_where_that_says() {
    if !with_plugins() {
        return;
    }
    let (bucket, copy) = (Bucket::new("external"), Bucket::new("external-copy"));
    copy.put("hello.txt", b"from where the plugin says\n");
    bucket.put("only.txt", b"from the source\n");
    let namespace = Namespace::new("external");
    let routed = dataset("books", &bucket.name, "").replace(
        "  name: books\n",
        "  name: books\n  labels: {cache.plugin: third}\n",
    );
    let _ = namespace.apply(&format!("{ROLE}---\n{routed}")).expect_ok();
    let kind = format!("{DATASETS}/books");
    let (reason, message) = namespace.wait_condition(&kind, "Ready", "False", NAMED_WITHIN);
    assert_eq!(reason, "WaitingForPlugin", "{message}");
    contains(&message, "third").unwrap();

    // An effective source refers to keys.
    let settings = settings();
    let secret = keys("third", &settings.get("S3_KEY"), &settings.get("S3_SECRET"));
    let _ = namespace.apply(&secret).expect_ok();
    let internal = dataset_with_secret("books", &copy.name, "third");
    let internal = internal.replace("kind: Dataset", "kind: DatasetInternal");
    let apply = ["-n", &namespace.name, "apply", "-f", "-"];
    let refused = kubectl_with(
        &[
            &apply[..],
            &["--as", "system:serviceaccount:dlf-system:fourth"],
        ]
        .concat(),
        &internal,
    );
    assert!(!refused.ok, "{refused:?}");
    let create = ["-n", &namespace.name, "create", "-f", "-", "--as", THIRD];
    let _ = kubectl_with(&create, &internal).expect_ok();
    namespace.wait_dataset("books");
    let script = "cat /mnt/datasets/books/hello.txt";
    let log = namespace.run_pod("reads", "dataset.0.id: books", script, "");
    assert_eq!(log, "from where the plugin says\n");
    // A finished pod holds its claim.
    let _ = namespace.kubectl(&["delete", "pod", "reads"]).expect_ok();
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books"])
        .expect_ok();
}
