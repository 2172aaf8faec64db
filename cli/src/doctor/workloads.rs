use kube::core::params::ListParams;
use serde_json::Value;

use super::{Check, log, object, unknown};
use crate::{
    cluster::{Cluster, Kind, Looked},
    plugin::is_ready,
};

/// More pods than these make a line nobody reads.
const NAMED_MAX: usize = 3;
/// What brings back an object of the chart.
pub(super) const INSTALL: &str = "install DLF's chart again: helm upgrade --install dlf …";

/// Where DLF is installed, and whether its operator is ready there.
pub(super) async fn operator(cluster: &Cluster, namespace: &str) -> (String, Check) {
    let name = "dlf-operator";
    let here = cluster.get(Kind::DEPLOYMENT, Some(namespace), name).await;
    let mut namespace = namespace.to_owned();
    if matches!(here, Ok(None)) {
        let elsewhere = ListParams::default().fields(&format!("metadata.name={name}"));
        let elsewhere = cluster.list(Kind::DEPLOYMENT, None, elsewhere).await;
        let elsewhere = elsewhere.unwrap_or_default();
        if let [only] = elsewhere.as_slice()
            && let Some(found) = only["metadata"]["namespace"].as_str()
        {
            found.clone_into(&mut namespace);
        }
    }
    let check = deployment(cluster, &namespace, name, "operator").await;
    (namespace, check)
}

/// Whether a Deployment has the replicas it wants.
pub(super) async fn deployment(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    component: &str,
) -> Check {
    let pods = pods(cluster, namespace, component).await;
    let what = (Kind::DEPLOYMENT, Some(namespace), name);
    let remedy = format!("{INSTALL}; if it is in another namespace, name that: --dlf-namespace");
    object(cluster, what, &remedy, |found| {
        let wanted = found["spec"]["replicas"].as_u64().unwrap_or(1);
        let ready = found["status"]["readyReplicas"].as_u64().unwrap_or(0);
        let title = format!("Deployment {name}");
        let version = found["metadata"]["labels"]["app.kubernetes.io/version"].as_str();
        let version = version.map_or_else(String::new, |version| format!(", version {version}"));
        let found = format!("{ready} of {wanted} ready in {namespace}{version}");
        judge(title, ready, wanted, found, &pods, namespace)
    })
    .await
}

/// Whether the node driver is ready wherever it should be.
pub(super) async fn drivers(cluster: &Cluster, namespace: &str) -> Check {
    let pods = pods(cluster, namespace, "csi").await;
    let what = (Kind::DAEMON_SET, Some(namespace), "dlf-csi");
    object(cluster, what, INSTALL, |found| {
        daemon_set(found, &pods, namespace)
    })
    .await
}

/// Whether the mounters are: there is a DaemonSet for each revision that still serves mounts.
pub(super) async fn mounters(cluster: &Cluster, namespace: &str) -> Vec<Check> {
    let selector = "app.kubernetes.io/name=dlf,app.kubernetes.io/component=mounter";
    let params = ListParams::default().labels(selector);
    let found = cluster
        .list(Kind::DAEMON_SET, Some(namespace), params)
        .await;
    let title = "DaemonSets of mounters";
    match Looked::from(found) {
        Looked::Seen(found) if found.is_empty() => vec![Check::fail(
            title,
            format!("none in namespace {namespace}"),
            format!("the operator makes it when it starts: {}", log(namespace)),
        )],
        Looked::Seen(found) => {
            let pods = pods(cluster, namespace, "mounter").await;
            let found = found.iter();
            found.map(|set| daemon_set(set, &pods, namespace)).collect()
        }
        Looked::Forbidden => vec![Check::skipped(title, "not allowed to look")],
        Looked::Failed(reason) => vec![unknown(title, &reason)],
    }
}

fn daemon_set(found: &Value, pods: &[Value], namespace: &str) -> Check {
    let name = found["metadata"]["name"].as_str().unwrap_or_default();
    let title = format!("DaemonSet {name}");
    let count = |field: &str| found["status"][field].as_u64().unwrap_or(0);
    let (ready, wanted) = (count("numberReady"), count("desiredNumberScheduled"));
    let seen = format!("ready on {ready} of {wanted} nodes");
    if wanted == 0 {
        return Check::warn(
            title,
            "no node takes its pods, so no pod gets data",
            format!(
                "compare its nodeSelector and tolerations with the nodes: kubectl -n {namespace} describe daemonset {name}"
            ),
        );
    }
    let own: Vec<Value> = pods
        .iter()
        .filter(|pod| owned(pod, name))
        .cloned()
        .collect();
    judge(title, ready, wanted, seen, &own, namespace)
}

fn judge(
    title: String,
    ready: u64,
    wanted: u64,
    found: String,
    pods: &[Value],
    namespace: &str,
) -> Check {
    if ready >= wanted {
        return Check::ok(title, found);
    }
    let troubles: Vec<String> = pods.iter().filter_map(trouble).take(NAMED_MAX).collect();
    let first = troubles
        .first()
        .and_then(|trouble| trouble.split(' ').next());
    let remedy = match first {
        Some(pod) => format!("kubectl -n {namespace} describe pod {pod}"),
        None => format!("kubectl -n {namespace} get pods,events"),
    };
    let found = if troubles.is_empty() {
        found
    } else {
        format!("{found}; {}", troubles.join("; "))
    };
    Check::fail(title, found, remedy)
}

async fn pods(cluster: &Cluster, namespace: &str, component: &str) -> Vec<Value> {
    let selector = format!("app.kubernetes.io/name=dlf,app.kubernetes.io/component={component}");
    let params = ListParams::default().labels(&selector);
    let pods = cluster.list(Kind::POD, Some(namespace), params).await;
    pods.unwrap_or_default()
}

fn owned(pod: &Value, by: &str) -> bool {
    let owners = pod["metadata"]["ownerReferences"].as_array();
    owners
        .into_iter()
        .flatten()
        .any(|owner| owner["name"] == by)
}

/// `POD on NODE: why`, of a pod that is not ready.
fn trouble(pod: &Value) -> Option<String> {
    if is_ready(pod) {
        return None;
    }
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let node = pod["spec"]["nodeName"].as_str();
    let node = node.map_or_else(String::new, |node| format!(" on {node}"));
    let status = &pod["status"];
    let containers = [
        &status["initContainerStatuses"],
        &status["containerStatuses"],
    ];
    let containers = containers.into_iter().filter_map(Value::as_array).flatten();
    let waiting = containers
        .filter_map(|container| container["state"]["waiting"]["reason"].as_str())
        // Its cause is another container, or what stands below.
        .find(|reason| *reason != "PodInitializing");
    let conditions = status["conditions"].as_array();
    let unscheduled = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False")
        .find_map(|condition| condition["message"].as_str());
    let why = waiting.or(unscheduled).unwrap_or("not ready");
    Some(format!("{name}{node}: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn a_pod_that_is_not_ready_is_named_with_its_cause_and_its_node() {
        let pod = json!({
            "metadata": { "name": "dlf-csi-x", "ownerReferences": [{ "name": "dlf-csi" }] },
            "spec": { "nodeName": "n1" },
            "status": { "containerStatuses": [{ "state": { "waiting": { "reason": "ImagePullBackOff" } } }] },
        });
        let set = json!({
            "metadata": { "name": "dlf-csi" },
            "status": { "desiredNumberScheduled": 2, "numberReady": 1 },
        });
        let check = daemon_set(&set, &[pod], "dlf-system");
        assert_eq!(check.outcome, Outcome::Fail);
        assert_eq!(
            check.found,
            "ready on 1 of 2 nodes; dlf-csi-x on n1: ImagePullBackOff"
        );
        assert_eq!(
            check.remedy.unwrap(),
            "kubectl -n dlf-system describe pod dlf-csi-x"
        );
    }

    #[test]
    fn a_daemon_set_without_nodes_serves_nobody() {
        let set = json!({ "metadata": { "name": "dlf-csi" }, "status": {} });
        assert_eq!(daemon_set(&set, &[], "ns").outcome, Outcome::Warn);
    }
}
