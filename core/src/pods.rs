//! Why a pod does not run, as its own status says it.

use std::{cmp::Reverse, fmt};

use serde_json::Value;

use crate::shown;

/// Reasons for which a container waits that is about to start.
const STARTS: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Its message tells for how long, which changes and helps nobody: what ended the container does.
const CRASHES: &str = "CrashLoopBackOff";
/// Longest message of the kubelet or the scheduler that is passed on. Those of a registry name the
/// image twice or thrice.
const SAID_BYTES_MAX: usize = 512;
/// Longest last line of a container's log that is passed on.
const LINE_BYTES_MAX: usize = 256;
/// A program in Rust writes this below what it panicked with.
const NOTE: &str = "note: run with `RUST_BACKTRACE";

/// What keeps a pod from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The pod's name.
    pub pod: String,
    /// The container that does not run; none where the pod as a whole does not.
    pub container: Option<String>,
    /// A word of the kubelet or the scheduler, as `ImagePullBackOff`.
    pub reason: String,
    /// What they say of it, or how the container ended, with the last line that it wrote; may be empty.
    pub said: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pod {}", self.pod)?;
        if let Some(container) = &self.container {
            write!(f, ", container {container}")?;
        }
        write!(f, ": {}", self.reason)?;
        match self.said.as_str() {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

/// The first trouble of these pods, of which the newest come first: the older ones may be of a revision
/// that served.
#[must_use]
pub fn trouble(pods: &[Value]) -> Option<Trouble> {
    let mut pods: Vec<&Value> = pods
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .collect();
    // One that was evicted stays, though another has taken its place.
    pods.sort_by_key(|pod| {
        let created = pod["metadata"]["creationTimestamp"].as_str();
        (pod["status"]["phase"] == "Failed", Reverse(created))
    });
    pods.into_iter().find_map(of_pod)
}

fn of_pod(pod: &Value) -> Option<Trouble> {
    let status = &pod["status"];
    let of = |container: Option<&str>, reason: &str, said: String| Trouble {
        pod: text(&pod["metadata"]["name"]).to_owned(),
        container: container.map(ToOwned::to_owned),
        reason: shown::line(reason, LINE_BYTES_MAX),
        said,
    };
    let said = |value: &Value| shown::line(text(&value["message"]), SAID_BYTES_MAX);
    let unscheduled = items(&status["conditions"])
        .find(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False");
    if let Some(unscheduled) = unscheduled {
        let reason = unscheduled["reason"].as_str().unwrap_or("Unschedulable");
        return Some(of(None, reason, said(unscheduled)));
    }
    if status["phase"] == "Failed" && status["reason"].is_string() {
        return Some(of(None, text(&status["reason"]), said(status)));
    }
    let first = items(&status["initContainerStatuses"]).map(|status| (status, true));
    let then = items(&status["containerStatuses"]).map(|status| (status, false));
    first.chain(then).find_map(|(status, is_init)| {
        let (reason, said) = of_container(status, is_init)?;
        Some(of(status["name"].as_str(), reason, said))
    })
}

/// The reason for which a container does not run, and what is said of it.
fn of_container(status: &Value, is_init: bool) -> Option<(&str, String)> {
    let (state, last) = (&status["state"], &status["lastState"]["terminated"]);
    let waiting = &state["waiting"];
    if let Some(reason) = waiting["reason"].as_str() {
        return match reason {
            CRASHES if last.is_object() => Some((reason, ended(last))),
            _ if STARTS.contains(&reason) => None,
            _ => Some((
                reason,
                shown::line(text(&waiting["message"]), SAID_BYTES_MAX),
            )),
        };
    }
    let now = &state["terminated"];
    let went_well = is_init && now["exitCode"] == 0;
    if now.is_object() && !went_well {
        return Some((reason_of(now), ended(now)));
    }
    // It runs again, for as long as it did before.
    let again = state["running"].is_object() && status["ready"] == false && last.is_object();
    again.then(|| (reason_of(last), ended(last)))
}

fn reason_of(terminated: &Value) -> &str {
    terminated["reason"].as_str().unwrap_or("Error")
}

/// How a container ended. Its message is what it wrote to /dev/termination-log, or, by
/// `FallbackToLogsOnError`, the end of its log.
fn ended(terminated: &Value) -> String {
    let how = match (terminated["exitCode"].as_i64(), reason_of(terminated)) {
        (Some(code), "Error" | "Completed") => format!("it ended with exit code {code}"),
        (Some(code), reason) => format!("it ended with exit code {code} ({reason})"),
        (None, reason) => format!("it ended ({reason})"),
    };
    let lines = text(&terminated["message"]).lines().rev();
    let mut lines = lines.filter(|line| !line.trim().is_empty() && !line.starts_with(NOTE));
    match lines.next() {
        Some(line) => format!("{how}, last: {}", shown::line(line, LINE_BYTES_MAX)),
        None => how,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, created: &str, status: &Value) -> Value {
        json!({ "metadata": { "name": name, "creationTimestamp": created }, "status": status })
    }

    fn said(status: &Value) -> Option<String> {
        let pods = [pod("cache-1-x", "2026-01-01T00:00:00Z", status)];
        trouble(&pods).map(|trouble| trouble.to_string())
    }

    fn container(name: &str, ready: bool, state: &Value, last: &Value) -> Value {
        json!({ "name": name, "ready": ready, "state": state, "lastState": last, "restartCount": 3 })
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_named() {
        let message = "Back-off pulling image \"registry.invalid/no:1\": ErrImagePull: failed to pull and unpack image: \
                       no such host";
        let waiting = json!({ "waiting": { "reason": "ImagePullBackOff", "message": message } });
        let status = json!({
            "phase": "Pending",
            "conditions": [{ "type": "PodScheduled", "status": "True" }, { "type": "Ready", "status": "False" }],
            "containerStatuses": [container("main", false, &waiting, &json!({}))],
        });
        let expected = format!("pod cache-1-x, container main: ImagePullBackOff: {message}");
        assert_eq!(said(&status), Some(expected));
    }

    #[test]
    fn of_a_crash_the_exit_code_and_the_last_line_are_told() {
        let waiting = json!({ "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 40s restarting failed container=plugin pod=dlf-plugin-acme-x_dlf-system(7938b026)",
        }});
        let last = |message: &str, code: i32, reason: &str| {
            json!({ "terminated": {
                "exitCode": code, "reason": reason, "message": message,
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
            }})
        };
        let of = |state: &Value, last: Value| {
            said(
                &json!({ "phase": "Running", "containerStatuses": [container("plugin", false, state, &last)] }),
            )
        };
        let line = "dlf-plugin-host: /plugin/libacme.so has no symbol dlf_plugin_v1";
        let log = format!("loading\n{line}\n\n");
        let crashed = Some(format!(
            "pod cache-1-x, container plugin: CrashLoopBackOff: it ended with exit code 1, last: {line}"
        ));
        assert_eq!(of(&waiting, last(&log, 1, "Error")), crashed);
        let panicked = "thread 'main' panicked at src/main.rs:1:5:\nno bucket\nnote: run with `RUST_BACKTRACE=1` environment \
                        variable to display a backtrace\n";
        let told = of(&waiting, last(panicked, 101, "Error")).unwrap();
        assert!(told.ends_with("exit code 101, last: no bucket"), "{told}");
        let told = of(&waiting, last("", 137, "OOMKilled")).unwrap();
        assert!(
            told.ends_with("it ended with exit code 137 (OOMKilled)"),
            "{told}"
        );
        // Between two restarts nothing waits.
        let running = json!({ "running": { "startedAt": "2026-01-01T00:00:02Z" } });
        let told = of(&running, last(&log, 1, "Error")).unwrap();
        assert!(told.ends_with(line), "{told}");
        let told = of(&last(&log, 0, "Completed"), json!({})).unwrap();
        assert!(
            told.contains(": Completed: it ended with exit code 0"),
            "{told}"
        );
    }

    #[test]
    fn a_pod_that_no_node_takes_says_what_the_scheduler_said() {
        let message = "0/2 nodes are available: 2 Insufficient memory.";
        let unscheduled = json!({
            "phase": "Pending",
            "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message }],
        });
        let expected = format!("pod cache-1-x: Unschedulable: {message}");
        assert_eq!(said(&unscheduled), Some(expected));
    }

    #[test]
    fn a_pod_that_starts_or_serves_is_in_no_trouble() {
        let creating = json!({ "waiting": { "reason": "ContainerCreating" } });
        let initializing = json!({ "waiting": { "reason": "PodInitializing" } });
        let done = json!({ "terminated": { "exitCode": 0, "reason": "Completed" } });
        let running = json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } });
        let died_once = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
        for status in [
            json!({}),
            json!({ "phase": "Pending", "containerStatuses": [container("main", false, &creating, &json!({}))] }),
            json!({
                "phase": "Pending",
                "initContainerStatuses": [container("host", true, &done, &json!({}))],
                "containerStatuses": [container("main", false, &initializing, &json!({}))],
            }),
            json!({ "phase": "Running", "containerStatuses": [container("main", true, &running, &died_once)] }),
            json!({ "phase": "Running", "containerStatuses": [container("main", false, &running, &json!({}))] }),
        ] {
            assert_eq!(said(&status), None, "{status}");
        }
    }

    #[test]
    fn the_newest_pod_speaks_first_and_one_that_goes_or_was_evicted_does_not() {
        let waits = |reason: &str| {
            let waiting = json!({ "waiting": { "reason": reason, "message": "" } });
            json!({ "containerStatuses": [container("main", false, &waiting, &json!({}))] })
        };
        let mut going = pod("going", "2026-01-04T00:00:00Z", &waits("Going"));
        going["metadata"]["deletionTimestamp"] = json!("2026-01-04T00:00:01Z");
        let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource" });
        let mut pods = vec![
            pod("old", "2026-01-01T00:00:00Z", &waits("Old")),
            pod("new", "2026-01-02T00:00:00Z", &waits("ErrImagePull")),
            pod("evicted", "2026-01-03T00:00:00Z", &evicted),
            going,
        ];
        let first = |pods: &[Value]| trouble(pods).unwrap().to_string();
        assert_eq!(first(&pods), "pod new, container main: ErrImagePull");
        pods.drain(..2);
        assert_eq!(
            first(&pods),
            "pod evicted: Evicted: The node was low on resource"
        );
    }

    #[test]
    fn what_others_wrote_is_bounded_and_obeyed_by_no_terminal() {
        let long = "x\u{1b}]0;title\u{7}".repeat(10_000);
        let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": long } });
        let last = json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": long } });
        let crashed = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        for (state, last) in [(waiting, json!({})), (crashed, last)] {
            let status = json!({ "containerStatuses": [container("main", false, &state, &last)] });
            let told = said(&status).unwrap();
            assert!(told.len() < 700, "{}", told.len());
            assert!(!told.contains(char::is_control), "{told}");
        }
    }
}
