//! `kubectl dlf plugin list`: what the operator says of its plugins.

use std::{error::Error, process::ExitCode};

use kube::core::params::ListParams;
use serde_json::Value;

use super::pods;
use crate::{
    arguments::{Connection, Installed, ShownWide},
    cluster::{self, Cluster, Kind, RequestError},
    output,
    text::{self, NOTHING},
};

/// Pods of the operator.
const OPERATOR: &str = "app.kubernetes.io/name=dlf,app.kubernetes.io/component=operator";
/// Lease of the operator that leads.
const LEASE: &str = "dlf-operator";
/// Where the operator answers, among its metrics: the name of its pod's port, and its number by default.
const PORT: (&str, u64) = ("http", 8080);

/// Why the operator's plugins cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    /// The user may not.
    #[error(
        "not allowed to look: in namespace {namespace} this needs `list` on pods and `get` on pods/proxy; the API server says: {said}"
    )]
    Forbidden {
        /// Where DLF is.
        namespace: String,
        /// The API server's words.
        said: String,
    },
    /// The operator does not know the question.
    #[error(
        "the operator in namespace {0} does not tell its plugins: it is older than this command; upgrade DLF"
    )]
    Older(String),
    /// No pod to ask.
    #[error(
        "no operator's pod is ready in namespace {0}; is DLF installed there (--dlf-namespace)? `kubectl dlf doctor` says what is wrong"
    )]
    NoPod(String),
    /// The API server does not come through.
    #[error(
        "the API server does not reach port {port} of pod {pod}: {said}; a NetworkPolicy or a firewall may be in between"
    )]
    Unreachable {
        /// The port.
        port: u64,
        /// The pod.
        pod: String,
        /// The API server's words.
        said: String,
    },
    /// The API server itself.
    #[error(transparent)]
    Request(RequestError),
}

pub(super) async fn run(
    installed: &Installed,
    shown: ShownWide,
    connection: &Connection,
) -> Result<ExitCode, Box<dyn Error>> {
    let cluster = cluster::connect(connection).await?;
    let mut plugins = ask(&cluster, &installed.dlf_namespace).await?;
    if shown.output.is_some() {
        pods::look(&cluster, &installed.dlf_namespace, &mut plugins).await;
    }
    match shown.program() {
        Some(format) => output::print(&plugins, format)?,
        None => output::show(&table(&plugins, shown.is_wide()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The operator's plugins as it tells them, asked through the API server.
pub(crate) async fn ask(cluster: &Cluster, namespace: &str) -> Result<Value, ListError> {
    let forbidden = |said| ListError::Forbidden {
        namespace: namespace.to_owned(),
        said,
    };
    let params = ListParams::default().labels(OPERATOR);
    let mut pods = match cluster.list(Kind::POD, Some(namespace), params).await {
        Err(RequestError::Forbidden(said)) => return Err(forbidden(said)),
        other => other.map_err(ListError::Request)?,
    };
    // The one that leads asks plugins; the others may never have met them.
    let leader = cluster.get(Kind::LEASE, Some(namespace), LEASE).await;
    let leader = leader.ok().flatten().unwrap_or_default();
    pods.sort_by_key(|pod| pod["metadata"]["name"] != leader["spec"]["holderIdentity"]);
    let mut failed = ListError::NoPod(namespace.to_owned());
    for pod in pods.iter().filter(|pod| is_ready(pod)) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let port = port(pod);
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/debug/plugins");
        failed = match cluster.read(&path).await {
            Ok(plugins) => return Ok(plugins),
            Err(RequestError::Forbidden(said)) => return Err(forbidden(said)),
            // During an upgrade another pod may know it.
            Err(RequestError::NotFound) => ListError::Older(namespace.to_owned()),
            Err(RequestError::Refused { message, .. }) => ListError::Unreachable {
                port,
                pod: name.to_owned(),
                said: message,
            },
            Err(other) => ListError::Request(other),
        };
    }
    Err(failed)
}

/// The chart may give it another port.
fn port(pod: &Value) -> u64 {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports =
        containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let named = ports.find(|port| port["name"] == PORT.0);
    named
        .and_then(|port| port["containerPort"].as_u64())
        .unwrap_or(PORT.1)
}

/// Whether a pod serves.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.into_iter().flatten().any(ready) && pod["metadata"]["deletionTimestamp"].is_null()
}

fn table(plugins: &Value, wide: bool) -> String {
    let plugins: Vec<&Value> = plugins.as_array().into_iter().flatten().collect();
    if plugins.is_empty() {
        return "the operator has no plugins\n".to_owned();
    }
    let mut head = vec!["NAME", "KIND", "CARRIER", "VERSION", "PROTOCOL", "STATE"];
    if wide {
        head.extend(["NEEDS", "WHERE", "ERROR"]);
    }
    let rows: Vec<Vec<String>> = plugins.iter().map(|plugin| row(plugin, wide)).collect();
    text::table(&head, &rows)
}

fn row(plugin: &Value, wide: bool) -> Vec<String> {
    let said = |field: &str| plugin[field].as_str().unwrap_or(NOTHING).to_owned();
    let mut row = vec![
        said("name"),
        said("kind"),
        said("carrier"),
        said("version"),
        protocol(&plugin["protocol"]),
        said("state"),
    ];
    if wide {
        let error = pods::error(plugin).unwrap_or_else(|| NOTHING.to_owned());
        row.extend([needs(plugin), said("where"), error]);
    }
    row
}

/// What it needs beyond what every plugin has, and what of that it was not granted.
fn needs(plugin: &Value) -> String {
    let words = |field: &str| plugin[field].as_array().cloned().unwrap_or_default();
    let granted = words("grants");
    let needs = words("needs");
    let shown = needs.iter().map(|need| {
        let word = need.as_str().unwrap_or(NOTHING);
        if granted.contains(need) {
            word.to_owned()
        } else {
            format!("{word} (not granted)")
        }
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    if shown.is_empty() {
        NOTHING.to_owned()
    } else {
        shown
    }
}

fn protocol(range: &Value) -> String {
    match (range["min"].as_u64(), range["max"].as_u64()) {
        (Some(min), Some(max)) if min == max => min.to_string(),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        _ => NOTHING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_operator_answers_at_the_port_that_its_pod_names() {
        let pod = |ports: Value| json!({ "spec": { "containers": [{}, { "ports": ports }] } });
        let ports = json!([{ "name": "nodes", "containerPort": 1 }, { "name": "http", "containerPort": 9090 }]);
        assert_eq!(port(&pod(ports)), 9090);
        assert_eq!(port(&pod(json!([]))), 8080);
    }

    #[test]
    fn a_plugin_that_does_not_answer_is_shown_all_the_same() {
        let plugins = json!([
            { "name": "s3fs", "carrier": "built-in", "kind": "storage", "version": "0.1.0", "protocol": { "min": 1, "max": 1 }, "state": "ready", "error": null, "where": null },
            { "name": "acme", "carrier": "isolated", "kind": null, "version": null, "protocol": null, "state": "failing", "error": "PluginTimeout", "needs": ["source-keys"], "grants": [], "where": "https://dlf-plugin-acme:8443", "pod": "pod x: CrashLoopBackOff" },
        ]);
        assert_eq!(
            table(&plugins, false),
            "\
NAME   KIND      CARRIER    VERSION   PROTOCOL   STATE
s3fs   storage   built-in   0.1.0     1          ready
acme   -         isolated   -         -          failing
"
        );
        let wide = table(&plugins, true);
        assert!(
            wide.contains("https://dlf-plugin-acme:8443   PluginTimeout; pod x: CrashLoopBackOff"),
            "{wide}"
        );
        assert!(wide.contains("source-keys (not granted)"), "{wide}");
        assert!(table(&json!([]), false).contains("no plugins"));
    }

    #[test]
    fn a_pod_on_its_way_out_is_not_asked() {
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        assert!(is_ready(
            &json!({ "metadata": {}, "status": { "conditions": ready } })
        ));
        assert!(!is_ready(
            &json!({ "metadata": { "deletionTimestamp": "x" }, "status": { "conditions": ready } })
        ));
        assert!(!is_ready(&json!({ "status": {} })));
    }
}
