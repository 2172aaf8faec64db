//! What datasets have on a node's disk.

use crate::{DATASETS, Namespace, Node};

/// Below the kubelet's directory.
const STAGING: &str = "/var/lib/kubelet/plugins/csi.dlf.dev/staging";

/// The directory of a dataset on a node. What is kept there goes when this is dropped: else the directory would stay
/// for an hour.
#[derive(Debug)]
pub struct Staged {
    /// The node.
    pub node: Node,
    /// The directory's path on it.
    pub path: String,
}

impl Staged {
    /// The directory of a Dataset of a namespace.
    ///
    /// # Panics
    /// When there is no such Dataset.
    #[must_use]
    pub fn of(namespace: &Namespace, dataset: &str, node: Node) -> Self {
        let uid = namespace.get(DATASETS, dataset)["metadata"]["uid"].clone();
        let uid = uid
            .as_str()
            .unwrap_or_else(|| panic!("{dataset} has no uid"));
        Self {
            node,
            path: format!("{STAGING}/{uid}"),
        }
    }

    /// Names of the files that are kept, whose uploads failed or whose writers were killed.
    #[must_use]
    pub fn kept(&self) -> Vec<String> {
        let listed = self.node.sh(&format!("ls {}/kept", self.path));
        listed.expect_ok().lines().map(str::to_owned).collect()
    }

    /// SHA-256 of what is kept of the file that had this name, in hexadecimal digits.
    ///
    /// # Panics
    /// When not exactly one is kept.
    #[must_use]
    pub fn digest_of_kept(&self, name: &str) -> String {
        let (kept, end) = (self.kept(), format!("-{name}"));
        let found: Vec<&String> = kept.iter().filter(|file| file.ends_with(&end)).collect();
        let [file] = found[..] else {
            panic!("not one of {name} in {kept:?}");
        };
        let read = format!("sha256sum < {}/kept/{file}", self.path);
        let said = self.node.sh(&read).expect_ok();
        said.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = self.node.sh(&format!("rm -rf {}/kept/*", self.path));
    }
}
