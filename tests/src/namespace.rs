use std::{thread, time::Duration};

use serde_json::Value;

use crate::{DATASETS, Output, POD_WITHIN, eventually, kubectl, kubectl_with, pod, unique};

/// All that datasets made in a namespace goes within this, pods with their grace period included.
const GONE_WITHIN: Duration = Duration::from_mins(2);

/// Even a black hole is named within this, and what can be made is made.
pub const NAMED_WITHIN: Duration = Duration::from_secs(30);

/// A namespace of one test. Dropped, it is deleted, and nothing of its datasets may be left.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
}

impl Namespace {
    /// Makes one whose name begins with `purpose`.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let name = unique(purpose);
        let _ = kubectl(&["create", "namespace", &name]).expect_ok();
        // Pods are refused until their service account is there.
        eventually(
            "the default service account",
            Duration::from_secs(30),
            || {
                let found = kubectl(&["-n", &name, "get", "serviceaccount", "default"]);
                if found.ok { Ok(()) } else { Err(found.error) }
            },
        );
        Self { name }
    }

    /// Runs `kubectl -n NAMESPACE`.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        kubectl(&[&["-n", &self.name], arguments].concat())
    }

    /// Applies manifests.
    #[must_use]
    pub fn apply(&self, manifests: &str) -> Output {
        kubectl_with(&["-n", &self.name, "apply", "-f", "-"], manifests)
    }

    /// An object as JSON.
    #[must_use]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.kubectl(&["get", kind, name, "-o", "json"]).json()
    }

    /// Runs a shell script in a running pod.
    #[must_use]
    pub fn exec(&self, pod: &str, script: &str) -> Output {
        self.kubectl(&["exec", pod, "--", "sh", "-c", script])
    }

    /// Waits until a condition of a dataset, of its present spec, is as expected; gives reason and
    /// message.
    #[must_use]
    pub fn wait_condition(
        &self,
        dataset: &str,
        kind: &str,
        status: &str,
        patience: Duration,
    ) -> (String, String) {
        eventually(&format!("{kind}={status} of {dataset}"), patience, || {
            let found = self.kubectl(&["get", dataset, "-o", "json"]);
            let object: Value =
                serde_json::from_str(&found.text).map_err(|_| found.error.clone())?;
            let conditions = object["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let condition = conditions
                .iter()
                .find(|condition| condition["type"] == kind);
            let now = &object["metadata"]["generation"];
            match condition {
                // One of an earlier generation says nothing about the spec as it is.
                Some(condition)
                    if condition["status"] == status && condition["observedGeneration"] == *now =>
                {
                    let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
                    Ok((text("reason"), text("message")))
                }
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// Waits until a pod is in a phase.
    pub fn wait_phase(&self, pod: &str, phase: &str, patience: Duration) {
        eventually(&format!("pod {pod} {phase}"), patience, || {
            let found = self.kubectl(&["get", "pod", pod, "-o", "jsonpath={.status.phase}"]);
            if found.text == phase {
                return Ok(());
            }
            let events = self.events(pod);
            let said = self.kubectl(&["logs", pod, "--all-containers", "--tail=5"]);
            Err(format!(
                "it is {}{}; its events: {events}; its log: {}",
                found.text, found.error, said.text
            ))
        });
    }

    /// Waits until a pod's containers are ready.
    pub fn wait_ready(&self, pod: &str, patience: Duration) {
        eventually(&format!("pod {pod} ready"), patience, || {
            let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
            let found = self.kubectl(&["get", "pod", pod, "-o", path]);
            if found.text == "True" {
                Ok(())
            } else {
                Err(format!("{found:?}; its events: {}", self.events(pod)))
            }
        });
    }

    /// Runs a pod of these labels and this script to its good end; gives its log.
    #[must_use]
    pub fn run_pod(&self, name: &str, labels: &str, script: &str, more: &str) -> String {
        let _ = self.apply(&pod(name, labels, script, more)).expect_ok();
        self.wait_phase(name, "Succeeded", POD_WITHIN);
        self.kubectl(&["logs", name, "-c", "main"]).expect_ok()
    }

    /// Waits until a Dataset can be used.
    pub fn wait_dataset(&self, name: &str) {
        let kind = format!("{DATASETS}/{name}");
        let _ = self.wait_condition(&kind, "Ready", "True", NAMED_WITHIN);
    }

    /// Waits until a claim is bound.
    pub fn wait_bound(&self, claim: &str) {
        eventually(&format!("claim {claim} to be bound"), NAMED_WITHIN, || {
            let path = "jsonpath={.status.phase}";
            let found = self.kubectl(&["get", "pvc", claim, "-o", path]);
            if found.text == "Bound" {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        });
    }

    /// Waits until an object is gone.
    pub fn wait_gone(&self, kind: &str, name: &str, patience: Duration) {
        eventually(&format!("{kind} {name} to go"), patience, || {
            let found = self.kubectl(&["get", kind, name]);
            if found.error.contains("NotFound") {
                Ok(())
            } else {
                Err(found.text)
            }
        });
    }

    /// Merges a patch into an object.
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) {
        let patch = patch.to_string();
        let _ = self
            .kubectl(&["patch", kind, name, "--type=merge", "-p", &patch])
            .expect_ok();
    }

    /// Messages of the events about an object, newest first: where a text is cut, what is wrong now
    /// is still in it.
    #[must_use]
    pub fn events(&self, object: &str) -> String {
        let field = format!("involvedObject.name={object}");
        let path = r#"jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}"#;
        let listed = self.kubectl(&["get", "events", "--field-selector", &field, "-o", path]);
        let newest_first: Vec<&str> = listed.text.lines().rev().collect();
        newest_first.join("\n")
    }

    /// This namespace's datasets and what the operator made for them, anywhere, as `kind/name` lines.
    #[must_use]
    pub fn traces(&self) -> String {
        let label = format!("dlf.dev/dataset-namespace={}", self.name);
        let kinds = "persistentvolumes,persistentvolumeclaims,configmaps,secrets";
        let made = kubectl(&["get", kinds, "-A", "-l", &label, "-o", "name"]);
        let datasets = self.kubectl(&["get", "dlf", "-o", "name"]);
        made.expect_ok() + &datasets.expect_ok()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let deleted = kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
        if thread::panicking() {
            return;
        }
        assert!(deleted.ok, "{}", deleted.error);
        // What is left of the namespace itself is Kubernetes' own, and takes some seconds more.
        eventually("all that datasets made to go", GONE_WITHIN, || {
            let traces = self.traces();
            if traces.is_empty() {
                Ok(())
            } else {
                Err(traces)
            }
        });
    }
}
