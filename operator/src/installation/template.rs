//! The mounter's DaemonSet, as the chart wrote it.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Label of a mounter's DaemonSet and pods: its revision.
pub(super) const REVISION_LABEL: &str = "dlf.dev/mounter-revision";
/// Tells the mounter its own revision.
const REVISION_ENV: &str = "DLF_MOUNTER_REVISION";

/// Why the mounter's template cannot be used.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not the YAML of a DaemonSet.
    #[error("{path}: not the YAML of a DaemonSet: {detail}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

/// The mounter's DaemonSet as the chart wrote it, and its revision.
#[derive(Clone, Debug)]
pub struct Template {
    object: Value,
    revision: String,
}

impl Template {
    /// Reads the template; its revision is a hash of its text.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| TemplateError::Read {
            path: shown.clone(),
            source,
        })?;
        let object: Value =
            serde_saphyr::from_str(&text).map_err(|error| TemplateError::Parse {
                path: shown.clone(),
                detail: error.to_string(),
            })?;
        if object["kind"] != "DaemonSet"
            || !object["spec"]["template"]["spec"]["containers"].is_array()
        {
            let detail = "kind is not DaemonSet or it has no containers".to_owned();
            return Err(TemplateError::Parse {
                path: shown,
                detail,
            });
        }
        let revision = hex::encode(&Sha256::digest(text.as_bytes())[..4]);
        Ok(Self { object, revision })
    }

    /// First eight hexadecimal digits of the SHA-256 of the template.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Name of the DaemonSet of this revision.
    #[must_use]
    pub fn name(&self) -> String {
        format!("dlf-mounter-{}", self.revision)
    }

    /// The DaemonSet of this revision.
    pub(super) fn daemon_set(&self, namespace: &str) -> Value {
        let mut object = self.object.clone();
        object["metadata"]["name"] = json!(self.name());
        object["metadata"]["namespace"] = json!(namespace);
        let revision = json!(self.revision);
        object["metadata"]["labels"][REVISION_LABEL] = revision.clone();
        object["spec"]["selector"]["matchLabels"][REVISION_LABEL] = revision.clone();
        object["spec"]["template"]["metadata"]["labels"][REVISION_LABEL] = revision.clone();
        let containers = object["spec"]["template"]["spec"]["containers"].as_array_mut();
        for container in containers.into_iter().flatten() {
            let variable = json!({ "name": REVISION_ENV, "value": revision });
            match container["env"].as_array_mut() {
                Some(env) => env.push(variable),
                None => container["env"] = json!([variable]),
            }
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_named_after_its_text() {
        let path = std::env::temp_dir().join(format!("dlf-template-{}", std::process::id()));
        let yaml = "kind: DaemonSet\nspec:\n  template:\n    spec:\n      containers:\n      - name: mounter\n";
        std::fs::write(&path, yaml).unwrap();
        let template = Template::read(&path).unwrap();
        let made = template.daemon_set("dlf-system");
        assert_eq!(
            made["metadata"]["name"],
            format!("dlf-mounter-{}", template.revision())
        );
        let container = &made["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["env"][0]["value"], template.revision());
        std::fs::write(&path, "kind: Pod").unwrap();
        assert!(
            Template::read(&path)
                .unwrap_err()
                .to_string()
                .contains("DaemonSet")
        );
        std::fs::remove_file(path).unwrap();
    }
}
