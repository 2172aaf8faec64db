//! DLF with the plugins of these tests.

use std::{fs::File, path::Path, process::Command, sync::OnceLock, time::Duration};

use dlf_tests::{
    Bucket, DATASETS, LONG_LIMIT, Namespace, dataset, eventually, find, kubectl, list,
    on_our_own_cluster, run_within, settings, timeout, tool_is_ready,
};
use serde_json::Value;

/// A plugin's answer, its cache's image and pods, and what follows.
pub(crate) const CACHED_WITHIN: Duration = Duration::from_secs(90);

/// What nothing needs any more.
pub(crate) const GONE_WITHIN: Duration = Duration::from_mins(1);

/// Whether the plugins are installed; says that this test is skipped where they may not be. Whoever runs all
/// tests has installed them; for a test that somebody runs alone it is done here.
pub(crate) fn with_plugins() -> bool {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if !on_our_own_cluster("it installs plugins") || !tool_is_ready("cache-images") {
        return false;
    }
    INSTALLED.get_or_init(|| {
        if are_there() {
            return;
        }
        // Each test is a process, and several may find them missing.
        let turn = File::create("../target/test-plugins.lock").unwrap();
        turn.lock().unwrap();
        if !are_there() {
            let script = Path::new("plugins/up.sh");
            let _ = run_within(LONG_LIMIT, &Command::new(script), b"").expect_ok();
        }
    });
    true
}

/// Whether the plugins of `up.sh` that have pods are there. The hostile one's may just have died of its deeds.
fn are_there() -> bool {
    const NAMES: [&str; 9] = [
        "nginx",
        "kept",
        "varnish",
        "shelf",
        "shelf-rust",
        "needy",
        "elsewhere",
        "silent",
        "hostile",
    ];
    NAMES.iter().all(|plugin| {
        let name = format!("dlf-plugin-{plugin}");
        find("deployment", "dlf-system", &name).is_some_and(|deployment| {
            let available = deployment["status"]["availableReplicas"].as_u64();
            available.is_some_and(|pods| pods > 0) || *plugin == "hostile"
        })
    })
}

/// A Dataset of a bucket with a cache by this plugin.
pub(crate) fn cached(name: &str, bucket: &str, plugin: &str) -> String {
    let plain = dataset(name, bucket, "");
    format!("{plain}  cache: {{mode: Always, plugin: {plugin}, capacity: 100Mi}}\n")
}

/// Waits until a Dataset's cache serves; gives its endpoint.
pub(crate) fn served(namespace: &Namespace, name: &str) -> String {
    let kind = format!("{DATASETS}/{name}");
    let _ = namespace.wait_condition(&kind, "CacheReady", "True", CACHED_WITHIN);
    // The condition and where nodes read are two writes.
    eventually(
        "the effective source to lead to the cache",
        CACHED_WITHIN,
        || {
            let status = namespace.get(DATASETS, name)["status"]["cache"].clone();
            let endpoint = status["endpoint"].as_str().unwrap_or_default();
            let internal = namespace.get("datasetsinternal.com.ie.ibm.hpsys", name);
            let effective = &internal["spec"]["local"]["endpoint"];
            if !endpoint.is_empty() && effective == endpoint {
                Ok(endpoint.to_owned())
            } else {
                Err(format!("{status}; {effective}"))
            }
        },
    )
}

/// The namespace of caches.
pub(crate) const CACHES: &str = "dlf-caches";

/// Runs kubectl in the namespace of caches.
pub(crate) fn caches(arguments: &[&str]) -> String {
    kubectl(&[&["-n", CACHES], arguments].concat()).expect_ok()
}

/// An object's own name.
pub(crate) fn name_in(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.unwrap_or_default().to_owned()
}

/// What a cache answers to an S3 client in a pod of this name that asks for `kept.txt`.
pub(crate) fn asked(namespace: &Namespace, pod: &str, endpoint: &str, bucket: &Bucket) -> String {
    let (key, secret) = (settings().get("S3_KEY"), settings().get("S3_SECRET"));
    let signed = format!("--aws-sigv4 aws:amz:us-east-1:s3 -u {key}:{secret}");
    // A node's proxy knows of a pod that is ready some moments after the API server does.
    let patient = "--retry 20 --retry-connrefused --retry-delay 1";
    let url = format!("{endpoint}/{}/kept.txt", bucket.name);
    let curl = format!("curl -sS --fail-with-body {patient} {signed} {url}");
    let script = format!("{curl} 2> /tmp/why || {{ cat /tmp/why; exit 1; }}");
    namespace.run_pod(pod, "app: client", &script, "")
}

/// The name of the cache behind an endpoint.
pub(crate) fn name_of(endpoint: &str) -> String {
    let host = endpoint.trim_start_matches("http://");
    host.split('.').next().unwrap_or_default().to_owned()
}

/// Objects of a Dataset's caches, as `kind/name`.
pub(crate) fn objects(namespace: &Namespace) -> Vec<String> {
    let kinds = [
        "deployments",
        "statefulsets",
        "services",
        "configmaps",
        "secrets",
        "networkpolicies",
    ];
    let label = format!("dlf.dev/dataset-namespace={}", namespace.name);
    let listed = kinds.iter().flat_map(|kind| list(kind, CACHES, &label));
    let line = |object: Value| {
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        format!("{kind}/{}", name_in(&object))
    };
    listed.map(line).collect()
}

/// Waits until nothing of the caches whose names begin so is left.
pub(crate) fn wait_gone(namespace: &Namespace, cache: &str) {
    eventually("the cache to go", GONE_WITHIN, || {
        let mut left = objects(namespace);
        left.retain(|object| object.contains(cache));
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    });
}

/// What the operator that leads answers at a path.
pub(crate) fn leader_says(path: &str) -> String {
    let lease = find("lease", "dlf-system", "dlf-operator").unwrap();
    let leader = lease["spec"]["holderIdentity"].as_str().unwrap();
    let path = format!("/api/v1/namespaces/dlf-system/pods/{leader}:8080/proxy/{path}");
    kubectl(&["get", "--raw", &path]).expect_ok()
}

/// What the plugin of this name looks like to the operator that leads.
pub(crate) fn seen(plugin: &str) -> Value {
    let all: Vec<Value> = serde_json::from_str(&leader_says("debug/plugins")).unwrap();
    let mut found = all.into_iter().filter(|one| one["name"] == plugin);
    found.next().unwrap_or_default()
}

/// A plugin without pods, for as long as this lives.
pub(crate) struct PluginAway {
    plugin: &'static str,
}

impl PluginAway {
    pub(crate) fn is(plugin: &'static str) -> Self {
        let away = Self { plugin };
        away.scale("0");
        // A pod that is about to go may still answer.
        let pods = format!("app.kubernetes.io/component=plugin-{plugin}");
        let gone = [
            "-n",
            "dlf-system",
            "wait",
            "pod",
            "-l",
            &pods,
            "--for=delete",
            &timeout(GONE_WITHIN),
        ];
        let _ = kubectl(&gone).expect_ok();
        away
    }

    fn scale(&self, replicas: &str) {
        let deployment = format!("deployment/dlf-plugin-{}", self.plugin);
        let scale = [
            "-n",
            "dlf-system",
            "scale",
            &deployment,
            "--replicas",
            replicas,
        ];
        let _ = kubectl(&scale).expect_ok();
    }
}

impl Drop for PluginAway {
    fn drop(&mut self) {
        self.scale("1");
    }
}
