use std::collections::BTreeMap;

use dlf_core::plugin::{CacheCondition, CacheOrigin, CachingPlan, CachingRequest, Intent};
use serde_json::{Value, json};

/// A cache that is a server in a container: a Deployment and the Service in front of it.
///
/// Its pods are restricted as the namespace of caches asks for: no root, no privileges, a read-only
/// root file system, no token. `/cache` is an `emptyDir` of the decided capacity and an eighth more, in
/// memory or on disk.
#[derive(Clone, Debug)]
pub struct Server<'a> {
    request: &'a CachingRequest,
    image: String,
    port: u16,
    env: Vec<Value>,
    command: Vec<String>,
    files: BTreeMap<String, String>,
    ready_path: Option<String>,
}

/// The volume is larger than the decided capacity by one part in so many: directories and files on
/// their way out count too, and a pod that outgrows its volume is evicted.
const HEADROOM: u64 = 8;

const CACHE: &str = "/cache";
const FILES: &str = "/etc/cache";
/// Of pods: stands for the files they were started with.
const FILES_ANNOTATION: &str = "dlf.dev/files";

/// The same for the same files, in every process (FNV-1a, 64 bits, by Fowler, Noll and Vo).
fn fingerprint(files: &BTreeMap<String, String>) -> String {
    let texts = files.iter().flat_map(|(name, content)| [name, content]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

impl<'a> Server<'a> {
    /// A server of this image that listens on this port.
    #[must_use]
    pub fn new(request: &'a CachingRequest, image: impl Into<String>, port: u16) -> Self {
        Self {
            request,
            image: image.into(),
            port,
            env: Vec::new(),
            command: Vec::new(),
            files: BTreeMap::new(),
            ready_path: None,
        }
    }

    /// An environment variable of the container.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env
            .push(json!({ "name": name, "value": value.into() }));
        self
    }

    /// What the container runs instead of what its image says.
    #[must_use]
    pub fn command(mut self, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.command = command.into_iter().map(Into::into).collect();
        self
    }

    /// A file below `/etc/cache`: pods are replaced when it changes.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl Into<String>) -> Self {
        self.files.insert(name.to_owned(), content.into());
        self
    }

    /// An HTTP path that answers once the server can serve; without one, listening is enough.
    #[must_use]
    pub fn ready_path(mut self, path: impl Into<String>) -> Self {
        self.ready_path = Some(path.into());
        self
    }

    /// The whole plan: Deployment and Service, and reads through the Service once a replica is ready.
    #[must_use]
    pub fn plan(&self) -> CachingPlan {
        if self.request.intent == Intent::Delete {
            return CachingPlan::default();
        }
        let ready = self.ready_replicas();
        CachingPlan {
            objects: self.objects(),
            origin: (ready > 0).then(|| CacheOrigin {
                endpoint: self.endpoint(),
            }),
            condition: if ready > 0 {
                CacheCondition::ready(format!("{ready} of {} replicas serve", self.replicas()))
            } else {
                CacheCondition::waiting("Deploying", "no replica of the cache is ready yet")
            },
            requeue_after_ms: None,
        }
    }

    fn objects(&self) -> Vec<Value> {
        let mut objects = vec![self.deployment(), self.service()];
        if !self.files.is_empty() {
            objects.push(json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": self.metadata(),
                "data": self.files,
            }));
        }
        objects
    }

    /// URL of the Service.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let place = &self.request.place;
        format!(
            "http://{}.{}.svc:{}",
            place.name, place.namespace, self.port
        )
    }

    /// Replicas that are ready, as observed.
    #[must_use]
    pub fn ready_replicas(&self) -> u64 {
        let mut objects = self.request.observed.objects.iter();
        let deployment = objects.find(|object| {
            object["kind"] == "Deployment" && object["metadata"]["name"] == self.request.place.name
        });
        deployment
            .and_then(|deployment| deployment["status"]["readyReplicas"].as_u64())
            .unwrap_or_default()
    }

    fn replicas(&self) -> u32 {
        self.request.decision.replicas.max(1)
    }

    fn metadata(&self) -> Value {
        let place = &self.request.place;
        json!({ "name": place.name, "namespace": place.namespace, "labels": place.labels })
    }

    fn deployment(&self) -> Value {
        let place = &self.request.place;
        let each = self.request.decision.capacity_bytes / u64::from(self.replicas());
        let limit = each.saturating_add(each / HEADROOM);
        let mut volume = json!({ "sizeLimit": limit.to_string() });
        if self.request.decision.medium == dlf_core::api::Medium::Memory {
            volume["medium"] = json!("Memory");
        }
        let probe = match &self.ready_path {
            Some(path) => json!({ "httpGet": { "path": path, "port": self.port } }),
            None => json!({ "tcpSocket": { "port": self.port } }),
        };
        let mut container = json!({
            "name": "cache",
            "image": self.image,
            "ports": [{ "name": "http", "containerPort": self.port }],
            "readinessProbe": probe,
            "volumeMounts": [
                { "name": "cache", "mountPath": CACHE },
                { "name": "tmp", "mountPath": "/tmp" },
            ],
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
        });
        if !self.env.is_empty() {
            container["env"] = json!(self.env);
        }
        if !self.command.is_empty() {
            container["command"] = json!(self.command);
        }
        let mut volumes = vec![
            json!({ "name": "cache", "emptyDir": volume }),
            json!({ "name": "tmp", "emptyDir": {} }),
        ];
        let mut annotations = json!({});
        if !self.files.is_empty() {
            let mount = json!({ "name": "files", "mountPath": FILES, "readOnly": true });
            container["volumeMounts"]
                .as_array_mut()
                .into_iter()
                .for_each(|mounts| mounts.push(mount.clone()));
            volumes.push(json!({ "name": "files", "configMap": { "name": place.name } }));
            annotations = json!({ FILES_ANNOTATION: fingerprint(&self.files) });
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self.metadata(),
            "spec": {
                "replicas": self.replicas(),
                "selector": { "matchLabels": place.labels },
                "template": {
                    "metadata": { "labels": place.labels, "annotations": annotations },
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
                        "containers": [container],
                        "volumes": volumes,
                    },
                },
            },
        })
    }

    fn service(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.metadata(),
            "spec": {
                "selector": self.request.place.labels,
                "ports": [{ "name": "http", "port": self.port, "targetPort": self.port }],
            },
        })
    }
}
