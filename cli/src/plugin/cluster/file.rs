//! The file of a check: a Dataset and the Secrets it names.

use std::{collections::BTreeSet, error::Error, path::Path};

use dlf_core::{
    api::{ApiGroup, Dataset},
    names::MOUNT_ROOT,
    source::{
        KeySource, ObjectStoreSource, Source,
        keys::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, names_of},
    },
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value, json};

use crate::plugin::dataset;

/// The keys that stand in a Dataset.
const KEYS: [&str; 2] = [ACCESS_KEY_ID, SECRET_ACCESS_KEY];

/// What a check makes in its namespace.
#[derive(Debug)]
pub(super) struct Given {
    /// The API group of the Dataset.
    pub(super) group: ApiGroup,
    /// The Dataset's spec as it stands in the file.
    spec: Map<String, Value>,
    /// The Secrets, without their namespace.
    pub(super) secrets: Vec<Value>,
    /// Whether nothing may be written.
    pub(super) readonly: bool,
    /// The id of its keys; none where it is anonymous.
    pub(super) access_key: Option<String>,
}

/// Reads a file; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<Given, Box<dyn Error>> {
    let text = dataset::text(file)?;
    parse(&text).map_err(|error| format!("{}: {error}", file.display()).into())
}

fn parse(text: &str) -> Result<Given, Box<dyn Error>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    let of_kind = |kind: &str| {
        let documents = documents.iter().filter(|one| one["kind"] == kind);
        documents.cloned().collect::<Vec<_>>()
    };
    let (mut datasets, secrets) = (of_kind(Dataset::KIND), of_kind("Secret"));
    let (1, Some(dataset)) = (datasets.len(), datasets.pop()) else {
        return Err("expected one document of kind Dataset, and Secrets that it names".into());
    };
    let version = dataset["apiVersion"].as_str().unwrap_or_default();
    let group = ApiGroup::parse(version).ok_or_else(|| {
        let known = ApiGroup::ALL.map(ApiGroup::api_version).join(" or ");
        format!("apiVersion of the Dataset is {version:?}; expected {known}")
    })?;
    let spec = dataset["spec"].as_object().cloned().unwrap_or_default();
    let read: Dataset = serde_json::from_value(dataset)?;
    // Its labels are left out: who removes a bucket with its Dataset does not mean this Dataset.
    let namespace = read.metadata.namespace.as_deref().unwrap_or_default();
    let bucket = match Source::parse(&read.spec, &std::collections::BTreeMap::new(), namespace)? {
        Source::ObjectStore(bucket) => bucket,
        other => {
            let kind = other.kind().as_str();
            return Err(format!("spec.local.type is {kind}; caches are for type COS").into());
        }
    };
    let secrets: Vec<Value> = secrets.iter().map(bare).collect();
    named(&bucket, &secrets)?;
    let access_key = match bucket.keys {
        KeySource::Anonymous => None,
        KeySource::Inline { access_key_id, .. } => Some(access_key_id),
        KeySource::Secret { name } => secrets
            .iter()
            .find(|secret| secret["metadata"]["name"] == name.as_str())
            .and_then(access_key),
    };
    Ok(Given {
        group,
        spec,
        secrets,
        readonly: bucket.readonly,
        access_key,
    })
}

/// A Secret with its name and what is in it alone.
fn bare(secret: &Value) -> Value {
    let mut bare = json!({ "metadata": { "name": secret["metadata"]["name"] } });
    for key in ["type", "data", "stringData"] {
        if let Some(value) = secret.get(key) {
            bare[key] = value.clone();
        }
    }
    bare
}

/// The id of the keys in a Secret.
pub(super) fn access_key(secret: &Value) -> Option<String> {
    let secret: Secret = serde_json::from_value(secret.clone()).ok()?;
    let (plain, encoded) = (secret.string_data.as_ref(), secret.data.as_ref());
    names_of(ACCESS_KEY_ID).into_iter().find_map(|name| {
        let plain = plain.and_then(|data| data.get(name)).cloned();
        let encoded = || encoded.and_then(|data| data.get(name));
        plain.or_else(|| String::from_utf8(encoded()?.0.clone()).ok())
    })
}

/// Whether the Secrets that a bucket names are there.
fn named(bucket: &ObjectStoreSource, secrets: &[Value]) -> Result<(), String> {
    let keys = match &bucket.keys {
        KeySource::Secret { name } => Some(("secret-name", name)),
        KeySource::Anonymous | KeySource::Inline { .. } => None,
    };
    let authority = bucket
        .ca_secret
        .as_ref()
        .map(|name| ("ca-secret-name", name));
    for (key, name) in keys.into_iter().chain(authority) {
        let known = |secret: &Value| secret["metadata"]["name"] == name.as_str();
        if !secrets.iter().any(known) {
            return Err(format!(
                "spec.local.{key} is {name}, and the file has no Secret of this name: the check has a namespace of its own, so add it after a line `---`"
            ));
        }
    }
    Ok(())
}

impl Given {
    /// Reads another file: the same Dataset, with other keys.
    pub(super) fn rotated(&self, file: &Path) -> Result<Self, Box<dyn Error>> {
        let other = read(file)?;
        let differs = self.is_rotated_by(&other);
        differs.map_err(|why| format!("--rotated {}: {why}", file.display()))?;
        Ok(other)
    }

    fn is_rotated_by(&self, other: &Self) -> Result<(), &'static str> {
        let names = |given: &Self| -> BTreeSet<String> {
            let names = given.secrets.iter();
            names
                .map(|secret| secret["metadata"]["name"].to_string())
                .collect()
        };
        let place = |given: &Self| {
            let mut place = given.local();
            place.retain(|key, _| !KEYS.contains(&key.as_str()));
            place
        };
        if place(self) != place(other) {
            return Err("its spec.local is another one than the first's; only keys may differ");
        }
        if names(self) != names(other) {
            return Err(
                "its Secrets have other names than the first's; only what is in them may differ",
            );
        }
        match (&self.access_key, &other.access_key) {
            (Some(first), Some(other)) if first != other => Ok(()),
            _ => Err(
                "expected another accessKeyID than the first's, in the Dataset or in its Secret",
            ),
        }
    }

    /// The bucket, as it stands in the file; a namespace of the file is not the check's.
    pub(super) fn local(&self) -> Map<String, Value> {
        let local = self.spec.get("local").and_then(Value::as_object);
        let mut local = local.cloned().unwrap_or_default();
        local.remove("secret-namespace");
        local
    }

    /// The Dataset under another name, with a cache by `plugin`. What the file says of its cache
    /// otherwise stays: its medium, its replicas.
    pub(super) fn dataset(&self, name: &str, plugin: &str, capacity: &str) -> Value {
        let mut spec = self.spec.clone();
        spec.insert("local".to_owned(), self.local().into());
        let mut cache = match spec.get("cache") {
            Some(Value::Object(cache)) => cache.clone(),
            _ => Map::new(),
        };
        cache.insert("mode".to_owned(), "Always".into());
        cache.insert("plugin".to_owned(), plugin.into());
        cache.insert("capacity".to_owned(), capacity.into());
        spec.insert("cache".to_owned(), cache.into());
        json!({ "metadata": { "name": name }, "spec": spec })
    }

    /// Where pods have the Dataset of this name.
    pub(super) fn path(&self, name: &str) -> String {
        let said = self
            .spec
            .get("mount")
            .and_then(|mount| mount["path"].as_str());
        said.map_or_else(|| format!("{MOUNT_ROOT}/{name}"), ToOwned::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: com.ie.ibm.hpsys/v1alpha1\nkind: Dataset\nmetadata: {name: books, namespace: team, labels: {remove-on-delete: \"true\"}}\n";

    fn with(local: &str, rest: &str) -> Result<Given, String> {
        let text = format!("{HEAD}spec: {{local: {{{local}}}}}\n{rest}");
        parse(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_dataset_is_taken_with_its_secret_and_nothing_else() {
        let given = with(
            "type: COS, endpoint: \"http://s3:1\", bucket: books, secret-name: keys, secret-namespace: team, readonly: \"true\"",
            "---\nkind: Secret\nmetadata: {name: keys, namespace: team, labels: {a: b}}\nstringData: {accessKeyID: x}\n---\nkind: Pod\n",
        )
        .unwrap();
        assert!(given.readonly);
        let bare = json!({ "metadata": { "name": "keys" }, "stringData": { "accessKeyID": "x" } });
        assert_eq!(given.secrets, [bare]);
        let made = given.dataset("check-1", "acme", "100Mi");
        assert_eq!(made["metadata"], json!({ "name": "check-1" }));
        assert_eq!(made["spec"]["local"]["secret-name"], "keys");
        assert_eq!(made["spec"]["local"]["secret-namespace"], Value::Null);
        let cache = json!({ "mode": "Always", "plugin": "acme", "capacity": "100Mi" });
        assert_eq!(made["spec"]["cache"], cache);
        assert_eq!(given.path("check-1"), "/mnt/datasets/check-1");
    }

    #[test]
    fn another_file_may_differ_by_its_keys_alone() {
        let inline = |key: &str, bucket: &str| {
            let local = format!(
                "type: COS, endpoint: \"http://s3:1\", bucket: {bucket}, accessKeyID: {key}, secretAccessKey: s-{key}"
            );
            with(&local, "").unwrap()
        };
        let secret = |data: &str| {
            let local = "type: COS, endpoint: \"http://s3:1\", bucket: books, secret-name: keys";
            with(
                local,
                &format!("---\nkind: Secret\nmetadata: {{name: keys}}\n{data}\n"),
            )
            .unwrap()
        };
        let first = inline("a", "books");
        assert_eq!(first.is_rotated_by(&inline("b", "books")), Ok(()));
        let why = |first: &Given, other: &Given| first.is_rotated_by(other).unwrap_err();
        assert!(why(&first, &inline("a", "books")).contains("another accessKeyID"));
        assert!(why(&first, &inline("b", "other")).contains("only keys may differ"));
        let plain = secret("stringData: {accessKeyID: a}");
        let encoded = secret("data: {AWS_ACCESS_KEY_ID: Yg==}");
        assert_eq!(encoded.access_key.as_deref(), Some("b"));
        assert_eq!(plain.is_rotated_by(&encoded), Ok(()));
        assert!(why(&first, &plain).contains("only keys may differ"));
        assert!(why(&plain, &secret("stringData: {}")).contains("another accessKeyID"));
    }

    #[test]
    fn what_cannot_be_checked_is_said_before_anything_is_made() {
        let nfs = with("type: NFS, server: s, share: /x", "");
        assert!(nfs.unwrap_err().contains("caches are for type COS"));
        let cos = "type: COS, endpoint: \"http://s3:1\", bucket: books, secret-name: keys";
        assert!(
            with(cos, "")
                .unwrap_err()
                .contains("no Secret of this name")
        );
        assert!(
            parse("kind: Pod\n")
                .unwrap_err()
                .to_string()
                .contains("kind Dataset")
        );
        let other = parse("apiVersion: v1\nkind: Dataset\n").unwrap_err();
        assert!(other.to_string().contains("com.ie.ibm.hpsys/v1alpha1"));
    }
}
