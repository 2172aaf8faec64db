//! Specs that nobody meant: as maps that a user wrote, and as whatever a watch may bring.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::{Dataset, DatasetInternal};

/// Keys that some type takes, keys that none does, and keys of other languages.
fn keys() -> impl Strategy<Value = String> {
    let known: Vec<&str> = [&keys::COS[..], &keys::NFS, &keys::HOST].concat();
    prop_oneof![
        8 => proptest::sample::select(known).prop_map(str::to_owned),
        1 => "[a-zA-Z-]{0,16}",
        1 => any::<String>(),
    ]
}

/// Values that fit some key, almost fit it, or are far too long.
fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(https?|ftp)://[a-z.:@/\\[\\]?#%]{0,12}(:[0-9]{0,6})?/?",
        "[a-z]{3,8}(/[a-z./]{0,12})?",
        "/?[a./\\x00-\\x20]{0,9}",
        "true|false|Directory|CreateNew|ReadOnly|ReadWrite|ns",
        "[a-z]".prop_map(|character| character.repeat(100_000)),
    ]
}

fn maps() -> impl Strategy<Value = BTreeMap<String, String>> {
    let kind = proptest::option::weighted(
        0.95,
        prop_oneof![9 => "COS|NFS|HOST|OBC|CatalogEntry", 1 => any::<String>()],
    );
    let rest = proptest::collection::btree_map(keys(), values(), 0..10);
    (kind, rest).prop_map(|(kind, mut map)| {
        map.extend(kind.map(|kind| ("type".to_owned(), kind)));
        map
    })
}

/// A bucket's map with some of its values replaced: past the first check, unlike most that are random.
fn nearly_right() -> impl Strategy<Value = BTreeMap<String, String>> {
    let right = proptest::sample::select(vec![
        [
            ("type", "COS"),
            ("endpoint", "http://s3:9000"),
            ("bucket", "books/a"),
        ],
        [("type", "NFS"), ("server", "nfs"), ("share", "/a")],
        [
            ("type", "HOST"),
            ("path", "/data"),
            ("permissions", "ReadOnly"),
        ],
    ]);
    let changes = proptest::collection::btree_map(keys(), values(), 0..3);
    (right, changes).prop_map(|(right, changes)| {
        let right = right.map(|(key, value)| (key.to_owned(), value.to_owned()));
        right.into_iter().chain(changes).collect()
    })
}

/// Any JSON, a few levels deep.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        values().prop_map(Value::from),
    ];
    let words = prop_oneof![
        keys(),
        "local|remote|type|url|mount|cache|scheduling|path|uid|umask|size|mode|warmup|paths",
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(words.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every part that a spec has, each of any shape.
fn specs() -> impl Strategy<Value = Value> {
    let part = || proptest::option::of(json());
    let local = proptest::option::of(prop_oneof![
        maps().prop_map(|map| json!(map)),
        nearly_right().prop_map(|map| json!(map)),
        json(),
    ]);
    (local, part(), part(), part(), part()).prop_map(|(local, remote, mount, cache, kind)| {
        let parts = [
            ("local", local),
            ("remote", remote),
            ("mount", mount),
            ("cache", cache),
            ("type", kind),
        ];
        let said = parts.into_iter();
        said.filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    })
}

/// What holds of any source that was taken, whatever it was written as.
fn check(source: &Source) -> Result<(), TestCaseError> {
    match source {
        Source::ObjectStore(bucket) => {
            let uri: http::Uri = bucket.endpoint.parse().unwrap();
            prop_assert!(uri.host().is_some_and(|host| !host.is_empty()));
            prop_assert!(uri.port().is_none() || uri.port_u16().is_some_and(|port| port > 0));
            let (name, prefix) = (&bucket.location.bucket, &bucket.location.prefix);
            prop_assert!(!name.contains('/') && !name.contains("..") && name.len() <= 63);
            prop_assert!(prefix.is_empty() || (prefix.ends_with('/') && !prefix.starts_with('/')));
        }
        Source::Nfs(export) => {
            prop_assert!(!export.server.is_empty() && !export.server.contains(['/', ',', '\n']));
            prop_assert!(is_normal(&export.share), "{:?}", export.share);
        }
        Source::HostPath(directory) => {
            prop_assert!(directory.path.len() > 1 && !directory.path.ends_with('/'));
            prop_assert!(is_normal(&directory.path), "{:?}", directory.path);
        }
    }
    prop_assert!(!source.address().is_empty());
    // What goes into a plan is written as JSON, and keys cannot be.
    let inline = matches!(source, Source::ObjectStore(bucket) if matches!(bucket.keys, KeySource::Inline { .. }));
    prop_assert_eq!(serde_json::to_string(source).is_err(), inline);
    Ok(())
}

fn is_normal(path: &str) -> bool {
    let parts = path.trim_end_matches('/').split('/').skip(1);
    path.starts_with('/')
        && !path.contains(char::is_control)
        && parts
            .into_iter()
            .all(|part| !matches!(part, "" | "." | ".."))
}

/// An error names a key of the spec, in words that are there once whatever the user wrote.
fn check_error(
    error: &SourceError,
    map: Option<&BTreeMap<String, String>>,
) -> Result<(), TestCaseError> {
    let text = error.to_string();
    prop_assert!(text.starts_with(&format!("{}: ", error.key)), "{text}");
    let Some(name) = error.key.strip_prefix("spec.local.") else {
        let known = ["spec", "spec.type", "spec.remote.type"];
        prop_assert!(known.contains(&error.key.as_str()), "{text}");
        return Ok(());
    };
    let written = map.is_some_and(|map| map.contains_key(name));
    let missing = matches!(error.kind, SourceErrorKind::Missing { .. });
    prop_assert!(written || missing, "{text}");
    Ok(())
}

proptest! {
    #[test]
    fn a_map_is_a_source_or_an_error_that_names_the_key(
        map in prop_oneof![maps(), nearly_right()],
        labels in proptest::collection::btree_map("remove-on-delete|[a-z.]{1,9}", "true|false|.{0,5}", 0..3),
        namespace in "ns|[a-z]{1,5}",
    ) {
        let spec = DatasetSpec { local: Some(map), ..DatasetSpec::default() };
        match Source::parse(&spec, &labels, &namespace) {
            Ok(source) => check(&source)?,
            Err(error) => check_error(&error, spec.local.as_ref())?,
        }
    }

    #[test]
    fn an_object_of_the_watch_is_read_whatever_its_spec_and_status(spec in specs(), status in json()) {
        let object = json!({ "metadata": { "name": "d", "namespace": "ns" }, "spec": spec, "status": status });
        let text = object.to_string();
        let dataset: Dataset = serde_json::from_str(&text).unwrap();
        let internal: DatasetInternal = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&dataset.spec, &internal.spec);
        match Source::parse(&dataset.spec, &BTreeMap::new(), "ns") {
            Ok(source) => check(&source)?,
            Err(error) => check_error(&error, dataset.spec.local.as_ref())?,
        }
        // What was read of it and is written again is read the same.
        let again: Dataset = serde_json::from_value(serde_json::to_value(&dataset).unwrap()).unwrap();
        if dataset.spec.unreadable.is_none() {
            prop_assert_eq!(again.spec, dataset.spec);
        }
    }

    #[test]
    fn a_spec_that_is_no_object_at_all_says_so(spec in json()) {
        let object = json!({ "metadata": { "name": "d" }, "spec": spec });
        let dataset: Dataset = serde_json::from_value(object).unwrap();
        if let Err(error) = Source::parse(&dataset.spec, &BTreeMap::new(), "ns") {
            check_error(&error, dataset.spec.local.as_ref())?;
        }
    }
}
