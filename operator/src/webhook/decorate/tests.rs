use std::collections::BTreeMap;

use dlf_core::{
    labels::{self, PathProblem},
    source::SourceType,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

struct Datasets(BTreeMap<String, Facts>);

impl DatasetLookup for Datasets {
    fn namespace(&self) -> &'static str {
        "ns"
    }

    fn find(&self, name: &str) -> Option<&Facts> {
        self.0.get(name)
    }
}

fn cos() -> Facts {
    Facts {
        kind: Some(SourceType::Cos),
        ..Facts::default()
    }
}

fn datasets(named: impl IntoIterator<Item = (&'static str, Facts)>) -> Datasets {
    Datasets(
        named
            .into_iter()
            .map(|(name, facts)| (name.to_owned(), facts))
            .collect(),
    )
}

fn library() -> Datasets {
    datasets([
        ("books", cos()),
        (
            "photos",
            Facts {
                readonly: true,
                ..cos()
            },
        ),
        (
            "placed",
            Facts {
                mount_path: Some("/data/in/".to_owned()),
                ..cos()
            },
        ),
        (
            "below",
            Facts {
                mount_path: Some("/data/in/below".to_owned()),
                ..cos()
            },
        ),
        (
            "going",
            Facts {
                deleting: true,
                ..cos()
            },
        ),
        (
            "odd",
            Facts {
                mount_path: Some("data".to_owned()),
                ..cos()
            },
        ),
        (
            "export",
            Facts {
                kind: Some(SourceType::Nfs),
                ..Facts::default()
            },
        ),
    ])
}

fn patch_of(pod: &Value, datasets: &Datasets) -> Result<Patch, Refusal> {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let empty = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
    let annotations = pod.metadata.annotations.as_ref().unwrap_or(&empty);
    decorate(&pod, &labels::parse(labels, annotations).unwrap(), datasets)
}

/// The pod after the API server has applied the patch.
fn decorated(pod: &Value, datasets: &Datasets) -> Result<Value, Refusal> {
    let patch = serde_json::to_value(patch_of(pod, datasets)?).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    let mut after = pod.clone();
    json_patch::patch(&mut after, &patch).unwrap();
    Ok(after)
}

fn pod(labels: &Value, spec: &Value) -> Value {
    json!({ "metadata": { "labels": labels }, "spec": spec })
}

fn refusal(labels: &Value, spec: &Value) -> Refusal {
    decorated(&pod(labels, spec), &library()).unwrap_err()
}

#[test]
fn the_slide_s_pod_without_any_list() {
    let pod = pod(
        &json!({ "dataset.0.id": "books", "dataset.0.useas": "mount" }),
        &json!({ "automountServiceAccountToken": false, "containers": [{ "name": "main" }] }),
    );
    insta::assert_json_snapshot!(patch_of(&pod, &library()).unwrap());
}

#[test]
fn the_environment_from_config_map_and_secret() {
    let pod = pod(
        &json!({ "dataset.0.id": "books", "dataset.0.useas": "configmap", "dataset.7.id": "export", "dataset.7.useas": "configmap" }),
        &json!({ "containers": [{ "name": "main", "env": [{ "name": "DATASET_0_REGION", "value": "mine" }] }] }),
    );
    insta::assert_json_snapshot!(patch_of(&pod, &library()).unwrap());
}

#[test]
fn of_a_users_own_secret_of_the_datasets_name_only_the_keys_become_environment() {
    let facts = Facts {
        has_keys_of_its_name: true,
        ..cos()
    };
    let library = datasets([("books", facts)]);
    let labels = json!({ "dataset.0.id": "books", "dataset.0.useas": "configmap" });
    let pod = pod(&labels, &json!({ "containers": [{ "name": "main" }] }));
    let after = decorated(&pod, &library).unwrap();
    let container = &after["spec"]["containers"][0];
    let config_map = json!({ "prefix": "books_", "configMapRef": { "name": "books" } });
    assert_eq!(container["envFrom"], json!([config_map]));
    let env = container["env"].as_array().unwrap();
    for key in ["accessKeyID", "secretAccessKey"] {
        let reference = json!({ "name": "books", "key": key, "optional": false });
        let reference = json!({ "secretKeyRef": reference });
        let expected = json!({ "name": format!("books_{key}"), "valueFrom": reference });
        assert!(env.contains(&expected), "{env:#?}");
    }
    // The API server may call twice.
    assert_eq!(decorated(&after, &library).unwrap(), after);
}

#[test]
fn init_sidecar_and_app_containers_with_lists_of_their_own() {
    let pod = json!({
        "metadata": {
            "labels": { "dataset.0.id": "books", "dataset.0.useas": "mount.configmap", "dataset.1.id": "photos" },
            "annotations": { "other": "x" },
        },
        "spec": {
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
            "initContainers": [
                { "name": "prepare", "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }] },
                { "name": "proxy", "restartPolicy": "Always" },
            ],
            "containers": [
                { "name": "main", "envFrom": [{ "secretRef": { "name": "books" } }] },
                { "name": "own", "volumeMounts": [{ "name": "books", "mountPath": "/books" }] },
            ],
        },
    });
    insta::assert_json_snapshot!(decorated(&pod, &library()).unwrap());
}

#[test]
fn a_volume_of_the_user_s_on_the_claim_stays_alone() {
    let spec = json!({
        "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": "books" } }],
        "containers": [
            { "name": "main", "volumeMounts": [{ "name": "v", "mountPath": "/v" }] },
            { "name": "both", "volumeMounts": [{ "name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional" }] },
            { "name": "none" },
        ],
    });
    let after = decorated(&pod(&json!({ "dataset.0.id": "books" }), &spec), &library()).unwrap();
    let mut expected = spec;
    expected["containers"][0]["volumeMounts"][0]["mountPropagation"] = json!("HostToContainer");
    assert_eq!(after["spec"], expected);
    assert_eq!(after["metadata"]["labels"]["dlf.dev/uses-datasets"], "true");
}

#[test]
fn a_container_added_between_two_calls_gets_its_mounts() {
    let first = pod(
        &json!({ "dataset.0.id": "books" }),
        &json!({ "containers": [{ "name": "main" }] }),
    );
    let mut between = decorated(&first, &library()).unwrap();
    between["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "injected" }));
    let after = decorated(&between, &library()).unwrap();
    let containers = &after["spec"]["containers"];
    assert_eq!(containers[0]["volumeMounts"], containers[1]["volumeMounts"]);
    assert_eq!(after["spec"]["volumes"].as_array().unwrap().len(), 1);
}

#[test]
fn paths_come_from_annotation_dataset_or_name_and_parents_come_first() {
    let pod = json!({
        "metadata": {
            "labels": {
                "dataset.0.id": "below", "dataset.1.id": "placed", "dataset.2.id": "books", "dataset.3.id": "photos",
            },
            "annotations": { "dataset.2.path": "/data", "dataset.3.containers": "other", "dataset.2.readonly": "true" },
        },
        "spec": { "containers": [{ "name": "main" }, { "name": "other" }] },
    });
    let after = decorated(&pod, &library()).unwrap();
    let paths = |container: usize| -> Vec<(String, bool)> {
        let mounts = after["spec"]["containers"][container]["volumeMounts"]
            .as_array()
            .unwrap();
        mounts
            .iter()
            .map(|mount| {
                (
                    mount["mountPath"].as_str().unwrap().to_owned(),
                    mount["readOnly"] == true,
                )
            })
            .collect()
    };
    let shared = [
        ("/data", true),
        ("/data/in", false),
        ("/data/in/below", false),
    ];
    let shared: Vec<_> = shared
        .into_iter()
        .map(|(path, readonly)| (path.to_owned(), readonly))
        .collect();
    assert_eq!(paths(0), shared);
    assert_eq!(
        paths(1),
        [shared, vec![("/mnt/datasets/photos".to_owned(), true)]].concat()
    );
}

#[test]
fn what_cannot_work_is_refused_with_a_way_out() {
    let plain = json!({ "containers": [{ "name": "main" }] });
    let missing = refusal(
        &json!({ "dataset.0.id": "books", "dataset.1.id": "no-a", "dataset.2.id": "no-b" }),
        &plain,
    );
    let text = missing.to_string();
    assert!(
        ["no-a", "no-b", "namespace ns", "dataset.1.id"]
            .iter()
            .all(|part| text.contains(part)),
        "{text}"
    );
    assert!(matches!(
        refusal(&json!({ "dataset.0.id": "going" }), &plain),
        Refusal::Deleting { .. }
    ));
    assert!(matches!(
        refusal(&json!({ "dataset.0.id": "odd" }), &plain),
        Refusal::DatasetPath {
            problem: PathProblem::NotAbsolute,
            ..
        }
    ));
    let clash = json!({ "volumes": [{ "name": "books", "emptyDir": {} }], "containers": [{ "name": "main" }] });
    assert!(matches!(
        refusal(&json!({ "dataset.0.id": "books" }), &clash),
        Refusal::VolumeTaken { .. }
    ));
    let taken = json!({ "containers": [{ "name": "main", "volumeMounts": [{ "name": "x", "mountPath": "/mnt/datasets/books/" }] }] });
    assert!(matches!(
        refusal(&json!({ "dataset.0.id": "books" }), &taken),
        Refusal::PathTaken { .. }
    ));
}

#[test]
fn what_no_user_namespace_shows_is_refused_there() {
    let kinds = |kind| {
        let facts = Facts {
            kind,
            ..Facts::default()
        };
        datasets([("books", facts)])
    };
    let refused = |host_users: Value, useas: &str, kind| {
        let labels = json!({ "dataset.0.id": "books", "dataset.0.useas": useas });
        let spec = json!({ "hostUsers": host_users, "containers": [{ "name": "main" }] });
        decorated(&pod(&labels, &spec), &kinds(kind)).err()
    };
    let no = || json!(false);
    for kind in [SourceType::Cos, SourceType::Nfs] {
        for useas in ["mount", "mount.configmap"] {
            let refusal = refused(no(), useas, Some(kind)).unwrap().to_string();
            assert!(
                refusal.contains("spec.hostUsers") && refusal.contains("Dataset books"),
                "{refusal}"
            );
        }
        assert_eq!(refused(no(), "configmap", Some(kind)), None);
        assert_eq!(refused(json!(true), "mount", Some(kind)), None);
        assert_eq!(refused(json!(null), "mount", Some(kind)), None);
    }
    assert!(refused(no(), "mount", None).is_some());
    assert_eq!(refused(no(), "mount", Some(SourceType::Host)), None);
}

#[test]
fn two_datasets_on_one_path_and_unknown_containers_are_refused() {
    let annotated = |annotations: Value| {
        let pod = json!({
            "metadata": { "labels": { "dataset.0.id": "books", "dataset.1.id": "placed" }, "annotations": annotations },
            "spec": { "containers": [{ "name": "main" }] },
        });
        decorated(&pod, &library()).unwrap_err().to_string()
    };
    let text = annotated(json!({ "dataset.0.path": "/data/in" }));
    assert!(
        text.contains("books") && text.contains("placed") && text.contains("/data/in"),
        "{text}"
    );
    let text = annotated(json!({ "dataset.0.containers": "mian" }));
    assert!(text.contains("mian") && text.contains("main"), "{text}");
}

#[test]
fn a_pod_that_asks_for_nothing_is_left_alone() {
    let pod = pod(
        &json!({ "app": "x" }),
        &json!({ "containers": [{ "name": "main" }] }),
    );
    assert!(patch_of(&pod, &library()).unwrap().is_empty());
}

const NAMES: [&str; 4] = ["books", "photos", "placed", "export"];

fn volumes() -> impl Strategy<Value = Value> {
    let volume = (0..NAMES.len(), 0..NAMES.len(), any::<bool>()).prop_map(|(name, claim, is_claim)| {
        if is_claim {
            json!({ "name": NAMES[name], "persistentVolumeClaim": { "claimName": NAMES[claim] } })
        } else {
            json!({ "name": format!("own-{name}"), "emptyDir": {} })
        }
    });
    prop::option::of(prop::collection::vec(volume, 0..3)).prop_map(|volumes| json!(volumes))
}

fn containers() -> impl Strategy<Value = Value> {
    let mount = (0..NAMES.len(), 0..6_u8, any::<bool>()).prop_map(|(name, path, propagated)| {
        let mut mount = json!({ "name": NAMES[name], "mountPath": format!("/p{path}") });
        if propagated {
            mount["mountPropagation"] = json!("None");
        }
        mount
    });
    let from = (0..NAMES.len()).prop_map(|name| json!({ "configMapRef": { "name": NAMES[name] } }));
    let container = (
        prop::option::of(prop::collection::vec(mount, 0..3)),
        prop::option::of(prop::collection::vec(from, 0..3)),
    );
    prop::collection::vec(container, 1..4).prop_map(|containers| {
        let containers = containers
            .into_iter()
            .enumerate()
            .map(|(index, (mounts, from))| {
                let mut container = json!({ "name": format!("c{index}") });
                if let Some(mounts) = mounts {
                    container["volumeMounts"] = json!(mounts);
                }
                if let Some(from) = from {
                    container["envFrom"] = json!(from);
                }
                container
            });
        containers.collect()
    })
}

proptest! {
    #[test]
    fn decorating_twice_is_decorating_once(
        modes in prop::collection::vec(prop::option::of(0..3_usize), NAMES.len()),
        volumes in volumes(),
        containers in containers(),
        init in prop::option::of(containers()),
    ) {
        let mut labels = serde_json::Map::new();
        for (index, mode) in modes.iter().enumerate() {
            if let Some(mode) = mode {
                labels.insert(format!("dataset.{index}.id"), json!(NAMES[index]));
                labels.insert(format!("dataset.{index}.useas"), json!(labels::Mode::WORDS[*mode]));
            }
        }
        let mut spec = json!({ "containers": containers });
        if !volumes.is_null() {
            spec["volumes"] = volumes;
        }
        if let Some(init) = init {
            spec["initContainers"] = init;
        }
        if let Ok(once) = decorated(&pod(&json!(labels), &spec), &library()) {
            prop_assert!(patch_of(&once, &library()).unwrap().is_empty());
        }
    }
}
