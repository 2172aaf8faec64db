//! What keeps the pods of plugins from answering, as far as who asks may see them.

use dlf_core::{pods::trouble, shown};
use kube::core::params::ListParams;
use serde_json::Value;

use super::is_ready;
use crate::cluster::{Cluster, Kind};

/// Longest message of an event that is shown.
const SAID_BYTES_MAX: usize = 512;

/// Adds `pod` to each plugin that fails and has pods of its own: why they do not run, if that can be seen.
pub(crate) async fn look(cluster: &Cluster, namespace: &str, plugins: &mut Value) {
    for plugin in plugins.as_array_mut().into_iter().flatten() {
        let fails = plugin["state"] == "failing" && plugin["carrier"] == "isolated";
        let Some(name) = plugin["name"].as_str().filter(|_| fails) else {
            continue;
        };
        let component = format!("plugin-{name}");
        let labels = format!("app.kubernetes.io/name=dlf,app.kubernetes.io/component={component}");
        let params = ListParams::default().labels(&labels);
        let Ok(pods) = cluster.list(Kind::POD, Some(namespace), params).await else {
            continue;
        };
        let found = match why(&pods, namespace, &component) {
            Why::Said(said) => Some(said),
            Why::Silent(pod) => told(cluster, namespace, &pod).await,
            Why::Nothing => None,
        };
        if let Some(found) = found {
            plugin["pod"] = found.into();
        }
    }
}

/// What the pods of a plugin say of themselves.
#[derive(Debug, PartialEq, Eq)]
enum Why {
    /// This.
    Said(String),
    /// Nothing; but this one is not ready, and events may tell.
    Silent(String),
    /// They are ready, so that the cause is elsewhere.
    Nothing,
}

fn why(pods: &[Value], namespace: &str, component: &str) -> Why {
    if pods.is_empty() {
        return Why::Said(format!(
            "it has no pod: `kubectl -n {namespace} describe deployment dlf-{component}` tells why"
        ));
    }
    if let Some(trouble) = trouble(pods) {
        return Why::Said(trouble.to_string());
    }
    let waits = pods.iter().find(|pod| !is_ready(pod));
    let name = waits.and_then(|pod| pod["metadata"]["name"].as_str());
    name.map_or(Why::Nothing, |name| Why::Silent(name.to_owned()))
}

/// What events say of a pod whose containers wait without an error, as for a volume.
async fn told(cluster: &Cluster, namespace: &str, pod: &str) -> Option<String> {
    let about = format!("involvedObject.kind=Pod,involvedObject.name={pod},type=Warning");
    let params = ListParams::default().fields(&about);
    let events = cluster.list(Kind::EVENT, Some(namespace), params).await;
    newest(pod, &events.ok()?)
}

fn newest(pod: &str, events: &[Value]) -> Option<String> {
    let last = |event: &&Value| {
        let times = [&event["lastTimestamp"], &event["eventTime"]];
        let time = times.into_iter().find_map(Value::as_str);
        time.map(ToOwned::to_owned)
    };
    let event = events.iter().max_by_key(last)?;
    let reason = event["reason"].as_str()?;
    let message = event["message"].as_str().unwrap_or_default();
    let message = shown::line(message, SAID_BYTES_MAX);
    Some(format!("pod {pod}: {reason}: {message}"))
}

/// What a plugin did wrong, over which Datasets, and what its pods say.
pub(crate) fn error(plugin: &Value) -> Option<String> {
    let said = |field: &str| plugin[field].as_str().map(ToOwned::to_owned);
    let over = plugin["failedOver"].as_array().into_iter().flatten();
    let parts = said("error").into_iter().chain(over.map(failure));
    let parts: Vec<String> = parts.chain(said("pod")).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What a plugin did over one Dataset.
fn failure(over: &Value) -> String {
    let did = match over["reason"].as_str().unwrap_or_default() {
        "PluginTimeout" => "hung on",
        "PluginCrashed" => "ended over",
        _ => "answered garbage for",
    };
    let dataset = over["dataset"].as_str().unwrap_or_default();
    match over["times"].as_u64() {
        Some(1) | None => format!("{did} {dataset}"),
        Some(times) => format!("{did} {dataset}, {times} times"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, status: &Value) -> Value {
        json!({ "metadata": { "name": name }, "status": status })
    }

    #[test]
    fn a_plugin_whose_pod_crashes_shows_its_last_line() {
        let line = "dlf-plugin-host: /plugin/libacme.so has no symbol dlf_plugin_v1";
        let crashes = pod(
            "dlf-plugin-acme-x",
            &json!({ "phase": "Running", "containerStatuses": [{
                "name": "plugin", "ready": false,
                "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } },
                "lastState": { "terminated": { "exitCode": 1, "reason": "Error", "message": format!("{line}\n") } },
            }]}),
        );
        assert_eq!(
            why(&[crashes], "dlf-system", "plugin-acme"),
            Why::Said(format!(
                "pod dlf-plugin-acme-x, container plugin: CrashLoopBackOff: it ended with exit code 1, last: {line}"
            ))
        );
        let fails = json!({ "error": "it cannot be reached", "pod": "pod x: CrashLoopBackOff" });
        let shown = error(&fails).unwrap();
        assert_eq!(shown, "it cannot be reached; pod x: CrashLoopBackOff");
        assert_eq!(error(&json!({ "error": null })), None);
        let hangs = json!({ "error": null, "failedOver": [
            { "dataset": "team-a/books", "reason": "PluginTimeout", "times": 3 },
            { "dataset": "team-b/maps", "reason": "PluginCrashed", "times": 1 },
        ] });
        let shown = error(&hangs).unwrap();
        assert_eq!(
            shown,
            "hung on team-a/books, 3 times; ended over team-b/maps"
        );
    }

    #[test]
    fn a_plugin_without_pods_is_said_to_have_none() {
        let Why::Said(said) = why(&[], "dlf-system", "plugin-acme") else {
            panic!("nothing was said");
        };
        assert!(
            said.contains("kubectl -n dlf-system describe deployment dlf-plugin-acme"),
            "{said}"
        );
    }

    #[test]
    fn events_tell_what_a_pod_waits_for_that_says_nothing() {
        let waits = json!({ "containerStatuses": [{ "name": "plugin", "state": { "waiting": { "reason": "ContainerCreating" } } }] });
        let waits = pod("x", &waits);
        assert_eq!(
            why(&[waits], "ns", "plugin-acme"),
            Why::Silent("x".to_owned())
        );
        let event = |time: &str, message: &str| json!({ "reason": "FailedMount", "message": message, "lastTimestamp": time });
        let events = [
            event("2026-01-02T00:00:00Z", "configmap \"acme\"\nnot found"),
            event("2026-01-01T00:00:00Z", "older"),
        ];
        assert_eq!(
            newest("x", &events).unwrap(),
            "pod x: FailedMount: configmap \"acme\" not found"
        );
        assert_eq!(newest("x", &[]), None);
    }

    #[test]
    fn of_pods_that_are_ready_nothing_is_said() {
        let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
        assert_eq!(why(&[pod("x", &ready)], "ns", "plugin-acme"), Why::Nothing);
    }
}
