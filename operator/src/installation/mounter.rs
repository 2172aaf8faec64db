use std::{path::Path, sync::Arc, time::Duration};

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{
    Client, ResourceExt,
    api::{Api, DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::{info, warn};

use crate::nodes::Hub;

/// Label of a mounter's DaemonSet and pods: its revision.
const REVISION_LABEL: &str = "dlf.dev/mounter-revision";
/// Tells the mounter its own revision.
const REVISION_ENV: &str = "DLF_MOUNTER_REVISION";
const FIELD_MANAGER: &str = "dlf-operator";
/// How often a deleted or edited DaemonSet is put right and an unused revision looked for.
const INTERVAL: Duration = Duration::from_secs(15);
/// A revision that no node reports is deleted only after this many looks: nodes report when their
/// stream comes up, which may be after ours did.
const UNUSED_LOOKS: u32 = 4;

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

    fn name(&self) -> String {
        format!("dlf-mounter-{}", self.revision)
    }

    /// The DaemonSet of this revision.
    fn daemon_set(&self, namespace: &str) -> Value {
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

/// Keeps this revision's DaemonSet, tells nodes to use it, and deletes older ones once no node has
/// a mount in them. Runs for ever.
pub async fn keep_mounters(client: Client, namespace: String, template: Template, nodes: Arc<Hub>) {
    let api: Api<DaemonSet> = Api::namespaced(client, &namespace);
    let mut unused = std::collections::HashMap::<String, u32>::new();
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match api
            .patch(
                &template.name(),
                &params,
                &Patch::Apply(template.daemon_set(&namespace)),
            )
            .await
        {
            Ok(_) => nodes.set_mounter(&template.revision),
            Err(error) => {
                warn!(%error, "the mounter's DaemonSet was not applied and is tried again");
            }
        }
        if let Err(error) = delete_unused(&api, &template, &nodes, &mut unused).await {
            warn!(%error, "older mounters were not looked at and are again later");
        }
    }
}

async fn delete_unused(
    api: &Api<DaemonSet>,
    template: &Template,
    nodes: &Hub,
    unused: &mut std::collections::HashMap<String, u32>,
) -> kube::Result<()> {
    for found in api
        .list_metadata(&ListParams::default().labels(REVISION_LABEL))
        .await?
    {
        let Some(revision) = found
            .labels()
            .get(REVISION_LABEL)
            .filter(|revision| **revision != template.revision)
        else {
            continue;
        };
        if nodes.read(|registry| registry.mounter_use(revision)).mounts > 0 {
            unused.remove(revision);
            continue;
        }
        let looks = unused.entry(revision.clone()).or_default();
        *looks += 1;
        if *looks >= UNUSED_LOOKS {
            info!(%revision, "no node has a mount in this mounter any more: deleting it");
            api.delete(&found.name_any(), &DeleteParams::default())
                .await?;
            unused.remove(revision);
        }
    }
    Ok(())
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
