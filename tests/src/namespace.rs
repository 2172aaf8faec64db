use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    DATASETS, Output, POD_WITHIN, await_object, find, kubectl, kubectl_with, list,
    objects::{create, delete, list_with_fields, try_await_object},
    pod, remains, unique,
};

/// Even a black hole is named within this, and what can be made is made.
pub const NAMED_WITHIN: Duration = Duration::from_secs(30);

/// Label of every namespace that a test makes, with the value `true`.
pub(crate) const TEST_LABEL: &str = "dlf-test";

/// A namespace of one test. Dropped, it is deleted in the background, and nothing of its datasets may be left:
/// [`nothing_is_left`](crate::nothing_is_left) waits for that.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
}

impl Namespace {
    /// Makes one whose name begins with `purpose`.
    ///
    /// # Panics
    /// When the API server does not make it.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let name = unique(purpose);
        let labels = json!({ TEST_LABEL: "true" });
        let namespace = json!({ "metadata": { "name": name, "labels": labels } });
        create("namespace", "", &namespace).unwrap_or_else(|error| panic!("{name}: {error}"));
        let namespace = Self { name };
        // Pods are refused until their service account is there.
        let (what, kind) = ("the default service account", "serviceaccount");
        namespace.await_object(what, NAMED_WITHIN, kind, "default", |account| {
            account.map(|_| ()).ok_or_else(is_none)
        });
        namespace
    }

    /// Deletes it, and waits until nothing of its datasets is left. What is left of the namespace itself is
    /// Kubernetes' own, and takes some seconds more.
    pub fn remove(self) {
        let name = self.name.clone();
        drop(self);
        remains::wait_gone(&name);
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

    /// One of its objects, or none if there is none. See [`find`].
    #[must_use]
    pub fn find(&self, kind: &str, name: &str) -> Option<Value> {
        find(kind, &self.name, name)
    }

    /// One of its objects.
    ///
    /// # Panics
    /// When there is none, or the API server does not say.
    #[must_use]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        let found = self.find(kind, name);
        found.unwrap_or_else(|| panic!("{} has no {kind} {name}", self.name))
    }

    /// Its objects of a kind with these labels. See [`list`].
    #[must_use]
    pub fn list(&self, kind: &str, labels: &str) -> Vec<Value> {
        list(kind, &self.name, labels)
    }

    /// Waits until `look` at one of its objects gives Ok. See [`await_object`].
    pub fn await_object<T>(
        &self,
        what: &str,
        within: Duration,
        kind: &str,
        name: &str,
        look: impl FnMut(Option<&Value>) -> Result<T, String>,
    ) -> T {
        await_object(what, within, (kind, &self.name, name), look)
    }

    /// Runs a shell script in a running pod.
    #[must_use]
    pub fn exec(&self, pod: &str, script: &str) -> Output {
        self.kubectl(&["exec", pod, "--", "sh", "-c", script])
    }

    /// Waits until a condition of a dataset, as `KIND/NAME` and of its present spec, has this status; gives
    /// reason and message.
    #[must_use]
    pub fn wait_condition(
        &self,
        dataset: &str,
        condition: &str,
        status: &str,
        within: Duration,
    ) -> (String, String) {
        self.await_condition(dataset, condition, status, within, |reason, message| {
            Ok((reason.to_owned(), message.to_owned()))
        })
    }

    /// Waits until a condition of a dataset, as `KIND/NAME` and of its present spec, has this status and `look`
    /// at reason and message gives Ok; gives what that gave.
    ///
    /// # Panics
    /// When it does not within that time: with the conditions, or with `look`'s last error.
    pub fn await_condition<T>(
        &self,
        dataset: &str,
        condition: &str,
        status: &str,
        within: Duration,
        mut look: impl FnMut(&str, &str) -> Result<T, String>,
    ) -> T {
        let what = format!("{condition}={status} of {dataset}");
        let (kind, name) = dataset
            .split_once('/')
            .unwrap_or_else(|| panic!("{dataset} is no KIND/NAME"));
        self.await_object(&what, within, kind, name, |object| {
            let object = object.ok_or_else(is_none)?;
            let conditions = &object["status"]["conditions"];
            let mut all = conditions.as_array().into_iter().flatten();
            let found = all.find(|one| one["type"] == condition);
            let now = &object["metadata"]["generation"];
            match found {
                // One of an earlier generation says nothing about the spec as it is.
                Some(found) if found["status"] == status && found["observedGeneration"] == *now => {
                    let text = |key: &str| found[key].as_str().unwrap_or_default();
                    look(text("reason"), text("message"))
                }
                _ => Err(format!("at generation {now} it has {conditions}")),
            }
        })
    }

    /// Waits until a pod is in a phase.
    ///
    /// # Panics
    /// When it is not within that time: with its events and the end of its log.
    pub fn wait_phase(&self, pod: &str, phase: &str, within: Duration) {
        let what = format!("pod {pod} {phase}");
        let waited = try_await_object(&what, within, ("pod", &self.name, pod), |object| {
            let now = &object.ok_or_else(is_none)?["status"]["phase"];
            if now == phase {
                Ok(())
            } else {
                Err(format!("it is {now}"))
            }
        });
        waited.unwrap_or_else(|error| {
            let log = self.kubectl(&["logs", pod, "--all-containers", "--tail=5"]);
            let events = self.events(pod);
            panic!("{error}; its events: {events}; its log: {}", log.text)
        });
    }

    /// Waits until a pod's containers are ready.
    ///
    /// # Panics
    /// When they are not within that time: with the pod's events.
    pub fn wait_ready(&self, pod: &str, within: Duration) {
        let what = format!("pod {pod} ready");
        let waited = try_await_object(&what, within, ("pod", &self.name, pod), |object| {
            let status = &object.ok_or_else(is_none)?["status"];
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            if conditions.any(|one| one["type"] == "Ready" && one["status"] == "True") {
                Ok(())
            } else {
                Err(format!("it has {status}"))
            }
        });
        waited.unwrap_or_else(|error| panic!("{error}; its events: {}", self.events(pod)));
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
        let what = format!("claim {claim} to be bound");
        self.await_object(&what, NAMED_WITHIN, "pvc", claim, |object| {
            let status = &object.ok_or_else(is_none)?["status"];
            if status["phase"] == "Bound" {
                Ok(())
            } else {
                Err(format!("it has {status}"))
            }
        });
    }

    /// Waits until an object is gone.
    pub fn wait_gone(&self, kind: &str, name: &str, within: Duration) {
        let what = format!("{kind} {name} to go");
        self.await_object(&what, within, kind, name, |object| match object {
            None => Ok(()),
            Some(object) => Err(format!(
                "it is there; deleted: {}, finalizers: {}",
                object["metadata"]["deletionTimestamp"], object["metadata"]["finalizers"]
            )),
        });
    }

    /// Waits until another object has the place of the one with this uid; gives it.
    #[must_use]
    pub fn wait_made_again(&self, kind: &str, name: &str, uid: &Value) -> Value {
        let what = format!("{kind} {name} to be made again");
        self.await_object(&what, NAMED_WITHIN, kind, name, |object| {
            let object = object.ok_or_else(is_none)?;
            if object["metadata"]["uid"] == *uid {
                Err("it is the old one".to_owned())
            } else {
                Ok(object.clone())
            }
        })
    }

    /// Merges a patch into an object.
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) {
        let patch = patch.to_string();
        let _ = self
            .kubectl(&["patch", kind, name, "--type=merge", "-p", &patch])
            .expect_ok();
    }

    /// Reasons and messages of the events about an object, newest first: where a text is cut, what is wrong now
    /// is still in it.
    #[must_use]
    pub fn events(&self, object: &str) -> String {
        let about = format!("involvedObject.name={object}");
        let mut events = list_with_fields("events", &self.name, &about);
        events.sort_by_cached_key(last_seen);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line =
            |event: &Value| format!("{}: {}", text(&event["reason"]), text(&event["message"]));
        let newest_first: Vec<String> = events.iter().rev().map(line).collect();
        newest_first.join("\n")
    }

    /// This namespace's datasets and what the operator made for them, anywhere, a line each.
    #[must_use]
    pub fn traces(&self) -> String {
        remains::traces_of(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let deleted = delete("namespace", "", &self.name);
        if !thread::panicking() {
            deleted.unwrap_or_else(|error| panic!("deleting {}: {error}", self.name));
        }
    }
}

fn is_none() -> String {
    "there is none".to_owned()
}

/// When an event was last seen: of the places where Kubernetes' programs write that, the latest. As text, since
/// all are in UTC and of one form.
fn last_seen(event: &Value) -> String {
    let times = [
        &event["lastTimestamp"],
        &event["series"]["lastObservedTime"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let times = times.into_iter().filter_map(Value::as_str);
    times.max().unwrap_or_default().to_owned()
}
