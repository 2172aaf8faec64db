//! What datasets leave when their namespace is deleted: nothing, once that has taken its time.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use serde_json::Value;

use crate::{eventually, list, namespace::TEST_LABEL};

/// All that datasets made in a namespace goes within this, pods with their grace period included.
const GONE_WITHIN: Duration = Duration::from_mins(2);

/// On each object that the operator makes for a Dataset: the Dataset's namespace.
const OWNER: &str = "dlf.dev/dataset-namespace";

/// Kinds of what the operator makes for a Dataset and for its cache.
const MADE: [&str; 8] = [
    "persistentvolumes",
    "persistentvolumeclaims",
    "configmaps",
    "secrets",
    "deployments",
    "statefulsets",
    "services",
    "networkpolicies",
];

/// What `kubectl get dlf` lists.
const DATASETS: [&str; 4] = [
    "datasets.com.ie.ibm.hpsys",
    "datasets.datashim.io",
    "datasetsinternal.com.ie.ibm.hpsys",
    "datasetsinternal.datashim.io",
];

/// A dataset, or what the operator made for one.
struct Trace {
    /// The dataset's namespace.
    namespace: String,
    /// Kind, namespace, name and conditions.
    object: String,
}

impl Trace {
    fn new(namespace: &Value, object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let (kind, name) = (text(&object["kind"]), text(&metadata["name"]));
        let mut traced = format!("{kind} {}/{name}", text(&metadata["namespace"]));
        let conditions = object["status"]["conditions"].as_array();
        for condition in conditions.into_iter().flatten() {
            let [kind, reason, message] =
                ["type", "reason", "message"].map(|key| text(&condition[key]));
            let _ = write!(traced, "; {kind} {reason} {message}");
        }
        Self {
            namespace: text(namespace),
            object: traced,
        }
    }
}

/// Of the datasets of a namespace, or of all if that is empty.
fn traces(namespace: &str) -> Vec<Trace> {
    let owned = if namespace.is_empty() {
        OWNER.to_owned()
    } else {
        format!("{OWNER}={namespace}")
    };
    let made = MADE.iter().flat_map(|kind| list(kind, "", &owned));
    let made = made.map(|object| Trace::new(&object["metadata"]["labels"][OWNER], &object));
    let datasets = DATASETS.iter().flat_map(|kind| list(kind, namespace, ""));
    let datasets = datasets.map(|object| Trace::new(&object["metadata"]["namespace"], &object));
    made.chain(datasets).collect()
}

fn lines(traces: Vec<Trace>) -> String {
    let lines: Vec<String> = traces.into_iter().map(|trace| trace.object).collect();
    lines.join("\n")
}

/// A namespace's datasets and what the operator made for them, a line each.
pub(crate) fn traces_of(namespace: &str) -> String {
    lines(traces(namespace))
}

/// Waits until nothing is left of the datasets of a namespace.
pub(crate) fn wait_gone(namespace: &str) {
    let what = format!("all that datasets of {namespace} made to go");
    eventually(&what, GONE_WITHIN, || nothing(traces(namespace)));
}

/// Waits until nothing is left of the datasets of tests' namespaces that are being deleted, or that are gone.
/// Those of tests that still run are left alone.
///
/// # Panics
/// When something is still there after two minutes, times the patience factor: with what.
pub fn nothing_is_left() {
    let what = "all that datasets of deleted namespaces made to go";
    eventually(what, GONE_WITHIN, || {
        let mut left = traces("");
        // Asked for last: of a namespace that is made meanwhile, nothing is taken for a gone one's.
        let kept = kept_namespaces();
        left.retain(|trace| !kept.contains(&trace.namespace));
        nothing(left)
    });
}

fn nothing(left: Vec<Trace>) -> Result<(), String> {
    if left.is_empty() {
        Ok(())
    } else {
        Err(lines(left))
    }
}

/// Names of the namespaces that no test has deleted.
fn kept_namespaces() -> BTreeSet<String> {
    let is_deleted = |metadata: &Value| {
        metadata["labels"][TEST_LABEL] == "true" && metadata["deletionTimestamp"].is_string()
    };
    let all = list("namespaces", "", "").into_iter();
    let kept = all.filter(|namespace| !is_deleted(&namespace["metadata"]));
    kept.filter_map(|namespace| namespace["metadata"]["name"].as_str().map(str::to_owned))
        .collect()
}
