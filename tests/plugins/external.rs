//! A caching plugin that is a controller of its own; the test plays it.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, POD_WITHIN, SLEEP, contains, dataset,
    dataset_with_secret, eventually, keys, kubectl_with, pod, settings,
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
    // The same version in both: which names there are is the source's to say.
    for bucket in [&bucket, &copy] {
        bucket.put("hello.txt", b"hello\n");
    }
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
    let reader = pod("reads", "dataset.0.id: books", SLEEP, "");
    let _ = namespace.apply(&reader).expect_ok();
    namespace.wait_phase("reads", "Running", POD_WITHIN);
    let file = "/mnt/datasets/books/hello.txt";
    let _ = namespace.exec("reads", &format!("stat {file}")).expect_ok();
    // Its name is known; its bytes are only where the plugin says.
    bucket.delete("hello.txt");
    let read = namespace.exec("reads", &format!("cat {file}"));
    assert_eq!(read.expect_ok(), "hello\n");
    // A pod holds its claim.
    let _ = namespace.kubectl(&["delete", "pod", "reads"]).expect_ok();
    let _ = namespace
        .kubectl(&["delete", DATASETS, "books"])
        .expect_ok();
}

#[test]
fn a_plugin_changes_nothing_of_a_dataset_that_is_not_routed_to_it() {
    if !with_plugins() {
        return;
    }
    let (bucket, other) = (Bucket::new("unrouted"), Bucket::new("unrouted-other"));
    let namespace = Namespace::new("unrouted");
    let _ = namespace.apply(ROLE).expect_ok();
    let as_third = |arguments: &[&str], input: &str| {
        let of = ["-n", &namespace.name, "--as", THIRD];
        let _ = kubectl_with(&[&of[..], arguments].concat(), input).expect_ok();
    };
    let own = |name: &str| {
        let what = format!("DatasetInternal {name} as the Dataset has it");
        namespace.await_object(&what, NAMED_WITHIN, "datasetinternal", name, |internal| {
            let spec = &internal.ok_or("there is none")?["spec"]["local"];
            if spec["bucket"] == bucket.name.as_str() {
                Ok(())
            } else {
                Err(spec.to_string())
            }
        });
    };
    // Written before the Dataset is there.
    let early = dataset_with_secret("early", &other.name, "third");
    let early = early.replace("kind: Dataset", "kind: DatasetInternal");
    as_third(&["create", "-f", "-"], &early);
    for name in ["early", "late"] {
        let _ = namespace
            .apply(&dataset(name, &bucket.name, ""))
            .expect_ok();
        namespace.wait_dataset(name);
        own(name);
    }
    eventually("an event of the writer", NAMED_WITHIN, || {
        contains(&namespace.events("early"), "WriterNotRouted")
    });
    // Written into one of ours.
    let patch = format!(
        "{{\"spec\":{{\"local\":{{\"bucket\":\"{}\"}}}}}}",
        other.name
    );
    let edit = [
        "patch",
        "datasetinternal",
        "late",
        "--type=merge",
        "-p",
        &patch,
    ];
    as_third(&edit, "");
    own("late");
}
