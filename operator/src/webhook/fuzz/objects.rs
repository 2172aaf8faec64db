//! Pods and Datasets as they might come, and how to spoil them.

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample};
use serde_json::{Map, Value, json};

/// Datasets that the webhook knows.
pub(super) const NAMES: [&str; 4] = ["books", "photos", "placed", "going"];

/// Names that are known, that are not, and that none can have.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => sample::select(NAMES[..3].to_vec()).prop_map(str::to_owned),
        1 => Just("going".to_owned()),
        1 => "[a-z]{0,3}",
        1 => any::<String>(),
    ]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let sound = (
        0..4_u8,
        names(),
        option::of("mount|configmap|mount\\.configmap"),
    );
    let sound = vec(sound, 0..4).prop_map(|uses| {
        let pairs = uses.into_iter().flat_map(|(index, name, mode)| {
            let id = (format!("dataset.{index}.id"), name);
            let mode = mode.map(|mode| (format!("dataset.{index}.useas"), mode));
            [Some(id), mode]
        });
        pairs.flatten().collect::<BTreeMap<_, _>>()
    });
    let odd = prop_oneof![
        r"dataset\.[0-9x-]{1,3}\.(id|useas|[a-z]{1,4})",
        any::<String>(),
        Just("dlf.dev/uses-datasets".to_owned()),
    ];
    let odd = prop_oneof![
        3 => Just(BTreeMap::new()),
        1 => proptest::collection::btree_map(odd, "true|false|[a-z]{1,3}|.{0,9}", 0..3),
    ];
    (sound, odd).prop_map(|(sound, odd)| sound.into_iter().chain(odd).collect())
}

fn annotations() -> impl Strategy<Value = BTreeMap<String, String>> {
    let sound = prop_oneof![
        (0..4_u8, "/[a-c](/[a-c])?/?").prop_map(|(n, path)| (format!("dataset.{n}.path"), path)),
        (0..4_u8, "[a-c]/[a-c]").prop_map(|(n, path)| (format!("dataset.{n}.subpath"), path)),
        (0..4_u8, "c[0-2](,c[0-2])?").prop_map(|(n, of)| (format!("dataset.{n}.containers"), of)),
        (0..4_u8, "true|false").prop_map(|(n, flag)| (format!("dataset.{n}.readonly"), flag)),
        "(books|photos|v|,){0,4}".prop_map(|names| ("dlf.dev/volumes".to_owned(), names)),
        "[a-z./]{1,9}".prop_map(|key| (key, "x".to_owned())),
    ];
    let odd = (
        0..4_u8,
        "path|subpath|containers|readonly|id|pth",
        any::<String>(),
    );
    let odd = odd.prop_map(|(n, word, value)| (format!("dataset.{n}.{word}"), value));
    let huge = "[a-z/]".prop_map(|text| ("dataset.0.path".to_owned(), text.repeat(300_000)));
    let one = prop_oneof![60 => sound, 3 => odd, 1 => huge];
    vec(one, 0..3).prop_map(|pairs| pairs.into_iter().collect())
}

fn volumes() -> impl Strategy<Value = Value> {
    let name = || prop_oneof![3 => names(), 2 => "v|w"];
    prop_oneof![
        (name(), names()).prop_map(|(name, claim)| {
            json!({ "name": name, "persistentVolumeClaim": { "claimName": claim } })
        }),
        name().prop_map(|name| json!({ "name": name, "emptyDir": {} })),
        "v|w".prop_map(|name| json!({ "name": name, "secret": { "secretName": name } })),
    ]
}

fn mounts() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        4 => "/[a-c](/[a-c])?/?",
        1 => sample::select(NAMES.to_vec()).prop_map(|name| format!("/mnt/datasets/{name}")),
        1 => any::<String>(),
    ];
    let propagation = option::of("None|HostToContainer|Bidirectional|x");
    let name = prop_oneof![names(), "v|w"];
    (name, path, propagation).prop_map(|(name, path, propagation)| {
        let mut mount = json!({ "name": name, "mountPath": path });
        if let Some(propagation) = propagation {
            mount["mountPropagation"] = json!(propagation);
        }
        mount
    })
}

fn from() -> impl Strategy<Value = Value> {
    (names(), "configMapRef|secretRef|x", any::<bool>()).prop_map(|(name, kind, prefixed)| {
        let prefix = if prefixed { "A_" } else { "" };
        json!({ "prefix": prefix, kind: { "name": name } })
    })
}

fn variables() -> impl Strategy<Value = Value> {
    let name = prop_oneof!["DATASET_[0-3]_(ENDPOINT|BUCKET|READONLY)", any::<String>()];
    name.prop_map(|name| json!({ "name": name, "value": "x" }))
}

/// A list, or the other ways to have none.
fn list(of: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        3 => vec(of, 0..4).prop_map(|items| Some(json!(items))),
        1 => Just(None),
        1 => Just(Some(Value::Null)),
    ]
}

fn object<const N: usize>(parts: [(&str, Option<Value>); N]) -> Value {
    let said = parts.into_iter();
    said.filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

fn container() -> impl Strategy<Value = Value> {
    let name = prop_oneof![4 => "c[0-2]", 1 => any::<String>()];
    (name, list(mounts()), list(from()), list(variables())).prop_map(|(name, mounts, from, env)| {
        object([
            ("name", Some(name.into())),
            ("volumeMounts", mounts),
            ("envFrom", from),
            ("env", env),
        ])
    })
}

/// A pod of the right types, whatever its values.
pub(super) fn pod() -> impl Strategy<Value = Value> {
    let annotations = option::of(annotations()).prop_map(|map| map.map(|map| json!(map)));
    let containers = (list(container()), list(container()));
    (labels(), annotations, list(volumes()), containers).prop_map(
        |(labels, annotations, volumes, (init, containers))| {
            let metadata = object([
                ("labels", Some(json!(labels))),
                ("annotations", annotations),
            ]);
            let spec = object([
                ("volumes", volumes),
                ("initContainers", init),
                ("containers", containers),
            ]);
            json!({ "metadata": metadata, "spec": spec })
        },
    )
}

/// A Dataset that is right.
pub(super) fn dataset() -> impl Strategy<Value = Value> {
    let local = sample::select(vec![
        json!({ "type": "COS", "endpoint": "http://s3:9000", "bucket": "books/a", "secret-name": "keys" }),
        json!({ "type": "NFS", "server": "nfs", "share": "/a", "readonly": "true" }),
        json!({ "type": "HOST", "path": "/data", "permissions": "ReadOnly" }),
    ]);
    let group = "(com\\.ie\\.ibm\\.hpsys|datashim\\.io)/v1alpha1";
    (local, group, "books|new").prop_map(|(local, api_version, name)| {
        json!({
            "apiVersion": api_version, "kind": "Dataset",
            "metadata": { "name": name, "namespace": "ns", "labels": { "cache.disable": "true" } },
            "spec": {
                "local": local,
                "mount": { "path": "/data/in", "uid": 1000, "umask": "0022", "size": "5Gi" },
                "cache": { "mode": "Auto", "warmup": { "on": "Create", "paths": ["train/"] } },
            },
        })
    })
}

/// Any JSON, a few levels deep, with words that mean something somewhere.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "CREATE|UPDATE|/|\\.\\./x|-1|[0-9]{1,30}|books".prop_map(Value::from),
    ];
    let words = prop_oneof![
        3 => "uid|operation|object|oldObject|namespace|userInfo|metadata|spec|labels|containers|name|local|mount",
        1 => any::<String>(),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((words.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// It, with up to three of its parts replaced by anything or taken away.
pub(super) fn spoiled(value: Value) -> impl Strategy<Value = Value> {
    changed(value, option::of(json()))
}

/// It, with up to three of its parts null or taken away.
pub(super) fn lacking(value: Value) -> impl Strategy<Value = Value> {
    changed(value, option::of(Just(Value::Null)))
}

fn changed(
    value: Value,
    new: impl Strategy<Value = Option<Value>>,
) -> impl Strategy<Value = Value> {
    vec((any::<sample::Index>(), new), 0..4).prop_map(move |changes| {
        let mut value = value.clone();
        for (at, new) in changes {
            let mut left = at.index(count(&value));
            spoil(&mut value, &mut left, new.as_ref());
        }
        value
    })
}

/// How many parts a value has, itself included.
fn count(value: &Value) -> usize {
    let below: usize = match value {
        Value::Object(map) => map.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    };
    below + 1
}

/// Replaces the part that `left` others precede, or takes it away; true when it is to be taken away.
fn spoil(value: &mut Value, left: &mut usize, new: Option<&Value>) -> bool {
    if *left == 0 {
        *left = usize::MAX;
        return match new {
            Some(new) => {
                *value = new.clone();
                false
            }
            None => true,
        };
    }
    *left -= 1;
    match value {
        Value::Object(map) => {
            let gone: Vec<String> = map
                .iter_mut()
                .filter_map(|(key, part)| spoil(part, left, new).then(|| key.clone()))
                .collect();
            for key in gone {
                map.remove(&key);
            }
        }
        Value::Array(items) => items.retain_mut(|part| !spoil(part, left, new)),
        _ => {}
    }
    false
}
