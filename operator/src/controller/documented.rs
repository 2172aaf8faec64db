//! `docs/conditions.md` has a row for each type and reason that is in the code, and no other.

use std::{collections::BTreeSet, fs, path::Path};

use dlf_core::condition::ConditionType;

/// Where reasons come from: files, or directories with all below them.
const ROOMS: [&str; 14] = [
    "../operator/src/controller",
    "../operator/src/tasks",
    "../operator/src/nodes/limits.rs",
    "../worker/src",
    "../cache/src/error.rs",
    "../core/src/plugin/policy.rs",
    "../mount/src/fs/losses.rs",
    "../plugins/host/src/carrier",
    "../plugins/host/src/metrics.rs",
    "../plugins/host/src/plugin.rs",
    "../plugins/host/src/schema.rs",
    "../plugin-s3fs/src",
    "../plugin-nfs/src",
    "../plugin-hostpath/src",
];

/// Words of the same form in these files that are no reasons: of Kubernetes, of DLF's spec and status,
/// and of logs.
const OTHERS: [&str; 35] = [
    "AlreadyExists",
    "Cache",
    "ClusterIP",
    "ConfigMap",
    "Delete",
    "Deploy",
    "Deployment",
    "Done",
    "Egress",
    "False",
    "Filesystem",
    "Ingress",
    "Invalid",
    "Loading",
    "Lost",
    "NetworkPolicy",
    "New",
    "Normal",
    "Opaque",
    "Other",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Plugin",
    "Pod",
    "ReadWriteMany",
    "Reconcile",
    "ReplicaFailure",
    "Retain",
    "Secret",
    "SecretReferences",
    "Service",
    "StatefulSet",
    "True",
    "Usage",
    "Warning",
];

/// Words in quotes that could be reasons, outside tests.
fn words(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            words(&entry.unwrap().path(), found);
        }
        return;
    }
    let name = path.file_name().and_then(|name| name.to_str());
    if matches!(name, Some("tests.rs" | "fuzz.rs" | "documented.rs")) {
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
    let quoted = code.split('"').filter(|word| {
        word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.len() > 2
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && word.bytes().any(|byte| byte.is_ascii_lowercase())
    });
    found.extend(quoted.map(str::to_owned));
}

/// First cells of the page's tables.
fn rows() -> BTreeSet<String> {
    let page = fs::read_to_string("../docs/conditions.md").unwrap();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = cells.filter_map(|cell| cell.split('`').next());
    names.map(str::to_owned).collect()
}

#[test]
fn each_type_and_reason_of_a_condition_has_a_row_in_the_documentation() {
    let mut said = BTreeSet::new();
    for room in ROOMS {
        words(Path::new(room), &mut said);
    }
    said.retain(|word| !OTHERS.contains(&word.as_str()));
    said.extend(ConditionType::ALL.map(|kind| kind.as_str().to_owned()));
    let rows = rows();
    let missing: Vec<_> = said.difference(&rows).collect();
    assert!(missing.is_empty(), "docs/conditions.md lacks {missing:?}");
    let stale: Vec<_> = rows.difference(&said).collect();
    assert!(
        stale.is_empty(),
        "docs/conditions.md has too much: {stale:?}"
    );
}
