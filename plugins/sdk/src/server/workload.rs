//! What runs the server: a Deployment, or a `StatefulSet` with a claim for each replica.

use std::collections::BTreeMap;

use dlf_core::api::Medium;
use serde_json::{Value, json};

use super::{FILES, Server, fingerprint};

/// The volume is larger than the decided capacity by one part in so many: directories and files on
/// their way out count too, and a pod that outgrows its volume is evicted.
const HEADROOM: u64 = 8;

/// Of `/tmp`: sockets, a process id and what does not fit into a buffer.
const TMP: &str = "256Mi";

const CACHE: &str = "/cache";
/// Where the source's keys are.
const SOURCE: &str = "/etc/source";
/// Of pods: stands for the files they were started with.
const FILES_ANNOTATION: &str = "dlf.dev/files";
/// Of pods of a `StatefulSet`: which one. With other claims or names of pods it is another.
const SET_LABEL: &str = "dlf.dev/set";

impl Server<'_> {
    /// Bytes of a replica's volume.
    fn volume_bytes(&self) -> u64 {
        let each = self.request.decision.capacity_bytes / u64::from(self.replicas());
        each.saturating_add(each / HEADROOM)
    }

    /// Stands for what of a `StatefulSet` cannot be changed: the claims of its replicas, and what gives
    /// them names. None for a Deployment.
    fn set(&self) -> Option<String> {
        let mut fixed = Vec::new();
        if let Some(class) = &self.storage_class {
            fixed.extend([class.clone(), self.volume_bytes().to_string()]);
        }
        fixed.extend(self.shard_bytes.map(|_| self.shards_name()));
        (!fixed.is_empty()).then(|| fingerprint(fixed)[..8].to_owned())
    }

    /// Name of the workload.
    pub(super) fn workload_name(&self) -> String {
        let name = &self.request.place.name;
        match self.set() {
            Some(set) => format!("{name}-{set}"),
            None => name.clone(),
        }
    }

    pub(super) const fn workload_kind(&self) -> &'static str {
        if self.storage_class.is_some() || self.shard_bytes.is_some() {
            "StatefulSet"
        } else {
            "Deployment"
        }
    }

    pub(super) fn workload(&self) -> Value {
        let place = &self.request.place;
        let mut labels = place.labels.clone();
        let set = self.set();
        if let Some(set) = &set {
            labels.insert(SET_LABEL.to_owned(), set.clone());
        }
        let mut metadata = self.metadata();
        metadata["name"] = json!(self.workload_name());
        let mut spec = json!({
            "replicas": self.replicas(),
            "selector": { "matchLabels": labels },
            "template": self.template(&labels),
        });
        if set.is_some() {
            spec["serviceName"] = match self.shard_bytes {
                Some(_) => json!(self.shards_name()),
                None => json!(place.name),
            };
            spec["podManagementPolicy"] = json!("Parallel");
        }
        if let Some(class) = &self.storage_class {
            spec["volumeClaimTemplates"] = json!([{
                "metadata": { "name": "cache", "labels": place.labels },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": class,
                    "resources": { "requests": { "storage": self.volume_bytes().to_string() } },
                },
            }]);
        }
        json!({ "apiVersion": "apps/v1", "kind": self.workload_kind(), "metadata": metadata, "spec": spec })
    }

    fn template(&self, labels: &BTreeMap<String, String>) -> Value {
        let mut annotations = json!({});
        if !self.files.is_empty() {
            let texts = self
                .files
                .iter()
                .flat_map(|(name, content)| [name, content]);
            annotations = json!({ FILES_ANNOTATION: fingerprint(texts) });
        }
        json!({
            "metadata": { "labels": labels, "annotations": annotations },
            "spec": {
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "fsGroup": 65532,
                    "seccompProfile": { "type": "RuntimeDefault" },
                },
                "containers": [self.container()],
                "volumes": self.volumes(),
            },
        })
    }

    fn container(&self) -> Value {
        let probe = match &self.ready_path {
            Some(path) => json!({ "httpGet": { "path": path, "port": self.port } }),
            None => json!({ "tcpSocket": { "port": self.port } }),
        };
        let mut mounts = vec![
            json!({ "name": "cache", "mountPath": CACHE }),
            json!({ "name": "tmp", "mountPath": "/tmp" }),
        ];
        if !self.files.is_empty() {
            mounts.push(json!({ "name": "files", "mountPath": FILES, "readOnly": true }));
        }
        if self.key_secret().is_some() {
            mounts.push(json!({ "name": "source", "mountPath": SOURCE, "readOnly": true }));
        }
        let mut env = self.env.clone();
        if self.status_path.is_some() {
            let node = json!({ "fieldRef": { "fieldPath": "spec.nodeName" } });
            env.push(json!({ "name": "NODE_NAME", "valueFrom": node }));
        }
        let mut container = json!({
            "name": "cache",
            "image": self.image,
            "ports": [{ "name": "http", "containerPort": self.port }],
            "readinessProbe": probe,
            "volumeMounts": mounts,
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
        });
        if !env.is_empty() {
            container["env"] = json!(env);
        }
        if !self.command.is_empty() {
            container["command"] = json!(self.command);
        }
        container
    }

    fn volumes(&self) -> Vec<Value> {
        let mut volumes = vec![json!({ "name": "tmp", "emptyDir": { "sizeLimit": TMP } })];
        if self.storage_class.is_none() {
            let mut volume = json!({ "sizeLimit": self.volume_bytes().to_string() });
            if self.request.decision.medium == Medium::Memory {
                volume["medium"] = json!("Memory");
            }
            volumes.insert(0, json!({ "name": "cache", "emptyDir": volume }));
        }
        if !self.files.is_empty() {
            let name = &self.request.place.name;
            volumes.push(json!({ "name": "files", "configMap": { "name": name } }));
        }
        if let Some(secret) = self.key_secret() {
            volumes.push(json!({ "name": "source", "secret": { "secretName": secret } }));
        }
        volumes
    }
}
