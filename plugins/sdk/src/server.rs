mod workload;

use std::collections::BTreeMap;

use dlf_core::{
    api::{Medium, PLACEMENTS_MAX},
    plugin::{
        CacheCondition, CacheKeys, CacheOrigin, CacheTask, CachingPlan, CachingRequest, Intent,
    },
};
use serde_json::{Value, json};

/// A cache that is a server in a container: a Deployment and the Service in front of it.
///
/// Its pods are restricted as the namespace of caches asks for: no root, no privileges, a read-only
/// root file system, no token. `/cache` is an `emptyDir` of the decided capacity and an eighth more, in
/// memory or on disk, or with [`Server::storage_class`] a claim of that size. `/tmp` has 256 MiB. With
/// [`Server::sharded`] replicas keep a part each, and without it each of them comes to keep what all of
/// them do.
#[derive(Clone, Debug)]
pub struct Server<'a> {
    request: &'a CachingRequest,
    image: String,
    port: u16,
    env: Vec<Value>,
    command: Vec<String>,
    files: BTreeMap<String, String>,
    ready_path: Option<String>,
    storage_class: Option<String>,
    shard_bytes: Option<u64>,
    keys: CacheKeys,
    status_path: Option<String>,
    has_source_keys: bool,
}

const FILES: &str = "/etc/cache";

/// The same for the same texts, in every process (FNV-1a, 64 bits, by Fowler, Noll and Vo).
fn fingerprint(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let texts = texts.into_iter();
    let bytes = texts.flat_map(|text| [text.as_ref().as_bytes(), &[0]].concat());
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
            storage_class: None,
            shard_bytes: None,
            keys: CacheKeys::Source,
            status_path: None,
            has_source_keys: false,
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

    /// With a storage class, `/cache` is a claim of that class for each replica, which outlives its pods:
    /// a `StatefulSet` takes the Deployment's place. The claims go with the cache. Without one, and for a
    /// cache that is decided to be in memory, nothing changes.
    #[must_use]
    pub fn storage_class(mut self, name: Option<&str>) -> Self {
        let name = name.filter(|_| self.request.decision.medium != Medium::Memory);
        self.storage_class = name.map(ToOwned::to_owned);
        self
    }

    /// Mounts ask the replica that has a unit of an object, so that together the replicas keep as much as
    /// was decided: a `StatefulSet` takes the Deployment's place, for its pods have names. `shard_bytes`:
    /// length of a unit; 0 keeps objects in one piece. One replica has everything, and nothing changes.
    #[must_use]
    pub fn sharded(mut self, shard_bytes: u64) -> Self {
        self.shard_bytes = (self.replicas() > 1).then_some(shard_bytes);
        self
    }

    /// Requests to the cache are not signed: it reads the source with keys of its own, or a public one.
    #[must_use]
    pub const fn unsigned(mut self) -> Self {
        self.keys = CacheKeys::None;
        self
    }

    /// An HTTP path at which each replica answers [`CacheStats`](dlf_core::plugin::CacheStats): what it keeps,
    /// and how much of what was asked it had, are shown in the Dataset's status. Its container has the node's
    /// name in `NODE_NAME`. Several replicas that are not shards have one address together, so none of them
    /// is asked.
    #[must_use]
    pub fn status_path(mut self, path: impl Into<String>) -> Self {
        self.status_path = Some(path.into());
        self
    }

    /// The source's keys are files below `/etc/source`: `accessKeyID`, `secretAccessKey`, perhaps
    /// `sessionToken`, and `ca.crt` where the source has a private CA. They change when the source's do. A
    /// source without any has no such directory. Needs
    /// [`needs_source_keys`](crate::Description::needs_source_keys).
    #[must_use]
    pub const fn source_keys(mut self) -> Self {
        self.has_source_keys = true;
        self
    }

    /// The whole plan: Deployment or `StatefulSet`, and Service, and reads through the Service once a replica is ready.
    #[must_use]
    pub fn plan(&self) -> CachingPlan {
        if self.request.intent == Intent::Delete {
            return CachingPlan::default();
        }
        let ready = self.ready_replicas();
        let mut plan = CachingPlan {
            objects: self.objects(),
            ..CachingPlan::default()
        };
        if ready == 0 {
            plan.condition =
                CacheCondition::waiting("Deploying", "no replica of the cache is ready yet");
            return plan;
        }
        plan.condition =
            CacheCondition::ready(format!("{ready} of {} replicas serve", self.replicas()));
        plan.origins = vec![self.origin()];
        plan.status_endpoints = self.status_endpoints();
        let warm = self.request.decision.warm.clone();
        plan.tasks = warm.map(CacheTask::Warm).into_iter().collect();
        plan.placements = self.request.observed.nodes();
        plan.placements.truncate(PLACEMENTS_MAX);
        plan
    }

    fn objects(&self) -> Vec<Value> {
        let mut objects = vec![self.workload(), self.service()];
        objects.extend(self.shard_bytes.map(|_| self.names_of_pods()));
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

    /// All replicas are its shards, also those that are not ready: what a replica keeps stays its own
    /// while it starts anew, and reads go past it to the source.
    fn origin(&self) -> CacheOrigin {
        let mut origin = CacheOrigin::at(self.endpoint());
        origin.keys = self.keys;
        if let Some(shard_bytes) = self.shard_bytes {
            origin.shards = self.shards();
            origin.shard_bytes = shard_bytes;
        }
        origin
    }

    /// URL of each replica that is a shard.
    fn shards(&self) -> Vec<String> {
        let (workload, service) = (self.workload_name(), self.shards_name());
        let (namespace, port) = (&self.request.place.namespace, self.port);
        let shard = |number| format!("http://{workload}-{number}.{service}.{namespace}.svc:{port}");
        (0..self.replicas()).map(shard).collect()
    }

    fn status_endpoints(&self) -> Vec<String> {
        let replicas = match self.shard_bytes {
            Some(_) => self.shards(),
            None if self.replicas() == 1 => vec![self.endpoint()],
            None => Vec::new(),
        };
        let path = self.status_path.iter();
        path.flat_map(|path| {
            replicas
                .iter()
                .map(move |replica| format!("{replica}{path}"))
        })
        .collect()
    }

    /// The Secret of the source's keys, where its container is to have them and there is one.
    fn key_secret(&self) -> Option<&str> {
        let secret = self.request.place.key_secret.as_deref();
        secret.filter(|_| self.has_source_keys)
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
        let name = self.workload_name();
        let workload = objects.find(|object| {
            object["kind"] == self.workload_kind() && object["metadata"]["name"] == name.as_str()
        });
        workload
            .and_then(|workload| workload["status"]["readyReplicas"].as_u64())
            .unwrap_or_default()
    }

    fn replicas(&self) -> u32 {
        self.request.decision.replicas.max(1)
    }

    fn metadata(&self) -> Value {
        let place = &self.request.place;
        json!({ "name": place.name, "namespace": place.namespace, "labels": place.labels })
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

    /// A Service without an address, which gives each pod a name. The name is there before the pod is
    /// ready: a mount that found none would remember that.
    fn names_of_pods(&self) -> Value {
        let mut service = self.service();
        service["metadata"]["name"] = json!(self.shards_name());
        service["spec"]["clusterIP"] = json!("None");
        service["spec"]["publishNotReadyAddresses"] = json!(true);
        service
    }

    /// Name of the Service that gives each pod a name.
    fn shards_name(&self) -> String {
        format!("{}-shards", self.request.place.name)
    }
}

#[cfg(test)]
mod tests;
