//! The grammar by which a pod asks for datasets: labels `dataset.N.id` and `dataset.N.useas`, and
//! annotations for what a label's value cannot hold.
//!
//! Ours is a key of three parts `dataset.X.KEY` where X is an integer or KEY is one of our words:
//! so that `dataset.x.id` is refused with a message and not overlooked, and `dataset.team.owner`
//! stays somebody else's.

mod error;
mod key;
mod name;
mod parse;
mod path;
mod reader;

use std::collections::BTreeMap;

pub use error::{LabelError, PathProblem};
pub use name::{is_dns_label, is_dns_subdomain};
pub use path::{check_mount_path, check_subpath};

/// Uses in one pod: far more than anyone mounts, and few enough that what the webhook adds to a
/// pod of many containers stays well below the 1.5 MiB that etcd takes.
pub const USES_MAX: usize = 128;

/// How a pod gets at a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// As files.
    Mount,
    /// As address and keys in the environment.
    ConfigMap,
    /// As both.
    Both,
}

impl Mode {
    /// The value of `dataset.N.useas` for each mode, as we write it.
    pub const WORDS: [&str; 3] = ["mount", "configmap", "mount.configmap"];

    /// The mode of a value: a set of words joined by dots, in any order and as often as one likes.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (mut mounts, mut configures) = (false, false);
        for word in value.split('.') {
            match word {
                "mount" => mounts = true,
                "configmap" => configures = true,
                _ => return None,
            }
        }
        Some(match (mounts, configures) {
            (true, true) => Self::Both,
            (true, false) => Self::Mount,
            _ => Self::ConfigMap,
        })
    }

    /// Whether files are asked for.
    #[must_use]
    pub const fn mounts(self) -> bool {
        matches!(self, Self::Mount | Self::Both)
    }

    /// Whether the environment is asked for.
    #[must_use]
    pub const fn configures(self) -> bool {
        matches!(self, Self::ConfigMap | Self::Both)
    }
}

/// One dataset that a pod asks for. Path, subpath and readonly say nothing to a use without mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetUse {
    /// N of its labels, which also names its shell variables.
    pub index: u32,
    /// The Dataset's name.
    pub id: String,
    /// How the pod gets at it.
    pub mode: Mode,
    /// Where it is mounted; none: where the Dataset says.
    pub path: Option<String>,
    /// Names of the containers that get it; none: every container.
    pub containers: Option<Vec<String>>,
    /// Whether the pod forgoes writing.
    pub readonly: bool,
    /// The part of the dataset that is mounted: relative, no `..`.
    pub subpath: Option<String>,
}

/// Whether a label of this key is part of the grammar, well formed or not.
#[cfg(test)]
fn is_our_label(key: &str) -> bool {
    key::Key::of_label(key).is_some()
}

/// Whether an annotation of this key is part of the grammar, well formed or not.
#[cfg(test)]
fn is_our_annotation(key: &str) -> bool {
    key::Key::of_annotation(key).is_some()
}

/// Reads what a pod asks for, in the order of N.
///
/// # Errors
/// Everything that is wrong, always in the same order: a person mends it in one go.
pub fn parse(
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<DatasetUse>, Vec<LabelError>> {
    parse::parse(labels, annotations)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
