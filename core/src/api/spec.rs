use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{LABEL_CACHE_DISABLE, LABEL_CACHE_PLUGIN};

/// The spec of a Dataset and of a DatasetInternal.
///
/// `local` and `remote` are maps of strings, as the original has them; [`crate::source`] reads
/// them. Unknown fields of an object that slipped in are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DatasetSpec {
    /// A source the cluster can reach: `type` is COS, NFS, HOST or OBC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<BTreeMap<String, String>>,
    /// A source to be looked up: `type` is CatalogEntry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<BTreeMap<String, String>>,
    /// `ARCHIVE`, or nothing.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// ARCHIVE: where the archive is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// ARCHIVE: its format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// ARCHIVE: whether to unpack it, `"true"` or `"false"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
    /// How pods see the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<MountSpec>,
    /// Whether and how to cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSpec>,
    /// How pods are drawn to the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<SchedulingSpec>,
    /// Why the rest of this is empty: an object that slipped past the CRD's rules cannot be read.
    #[serde(skip)]
    pub unreadable: Option<String>,
}

impl DatasetSpec {
    /// The cache block as it is meant: what labels of the Dataset say, unless the block says it.
    #[must_use]
    pub fn cache(&self, labels: &BTreeMap<String, String>) -> Option<CacheSpec> {
        let off = labels
            .get(LABEL_CACHE_DISABLE)
            .is_some_and(|value| value == "true");
        let mode = off.then_some(CacheMode::Off);
        let plugin = labels
            .get(LABEL_CACHE_PLUGIN)
            .filter(|name| !name.is_empty());
        if self.cache.is_none() && mode.is_none() && plugin.is_none() {
            return None;
        }
        let block = self.cache.clone().unwrap_or_default();
        Some(CacheSpec {
            mode: block.mode.or(mode),
            plugin: block.plugin.or_else(|| plugin.cloned()),
            ..block
        })
    }
}

/// How pods see the files of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct MountSpec {
    /// Absolute path in the container; `/mnt/datasets/NAME` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Owner of all files. COS only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group of all files. COS only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Permission bits to take away from 0777, in octal. COS only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<String>,
    /// Kubernetes quantity: what the claim shows and quotas count. Fixed when the claim is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// `native` (default) or `s3fs`. COS only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// Whether and how a dataset is cached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheSpec {
    /// Who decides; the configuration's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<CacheMode>,
    /// Name of the caching plugin; the configuration's routes decide when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Kubernetes quantity: ceiling of the total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// Ceiling of the number of replicas, which are shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// What it is kept on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
    /// How stale a read may be: a duration, `0s` to ask each time, `never` to trust the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revalidate: Option<String>,
    /// What to load before anyone asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
    /// Duration without use after which an automatic cache is withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_after: Option<String>,
    /// Higher goes first when budgets are short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
}

/// Who decides on a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheMode {
    /// Never a cache.
    Off,
    /// Say what would pay, deploy nothing.
    Advise,
    /// Deploy where it pays, withdraw where it stops paying.
    Auto,
    /// Always a cache.
    Always,
}

/// What a cache is kept on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Medium {
    /// Node disks.
    Disk,
    /// Memory.
    Memory,
}

/// What to load into a cache before anyone asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Warmup {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<WarmupOn>,
    /// The same under the name that it had first: YAML takes the bare word for a truth value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<WarmupOn>,
    /// Prefixes to load; everything when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// When to warm a cache up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WarmupOn {
    /// As soon as the cache is there.
    Create,
    /// When the first pod uses the dataset.
    FirstUse,
    /// Not at all.
    None,
}

/// How pods are drawn to the nodes that hold their data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulingSpec {
    /// How strongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
    /// Duration after which a pod starts anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
}

/// How strongly pods are drawn to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Locality {
    /// Not at all.
    Ignore,
    /// When there is room.
    Prefer,
    /// Only there.
    Require,
    /// Only there, and not before the cache is ready.
    WaitForCache,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn cache_labels_fill_in_what_the_block_does_not_say() {
        let off = labels(&[("cache.disable", "true"), ("cache.plugin", "disk")]);
        let mut spec = DatasetSpec::default();
        assert_eq!(spec.cache(&labels(&[("cache.disable", "false")])), None);
        let cache = spec.cache(&off).unwrap();
        assert_eq!(
            (cache.mode, cache.plugin.as_deref()),
            (Some(CacheMode::Off), Some("disk"))
        );
        spec.cache = Some(CacheSpec {
            mode: Some(CacheMode::Always),
            plugin: Some("ceph".to_owned()),
            ..CacheSpec::default()
        });
        assert_eq!(spec.cache(&off), spec.cache, "the block wins");
    }
}
