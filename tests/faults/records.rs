//! What the system records of itself, by its own clock: a slow test cannot make it late.

use std::time::Duration;

use dlf_tests::{await_object, find};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::ours::SYSTEM;

/// The kubelet looks at its containers each second and then writes what it saw.
const RECORDED_WITHIN: Duration = Duration::from_secs(30);

/// A time that an object has.
pub(crate) fn time(recorded: &Value) -> Timestamp {
    let text = recorded
        .as_str()
        .unwrap_or_else(|| panic!("{recorded} is no time"));
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// From one time to a later one, in whole seconds: most are recorded in such, cut off, so that this is never
/// more than what passed, rounded up.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}

/// The Lease of the operator's leader.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) holder: String,
    /// How often another than before took it.
    pub(crate) transitions: u64,
    acquired: Timestamp,
    renewed: Timestamp,
}

impl Lease {
    /// As it is now.
    pub(crate) fn read() -> Self {
        let found = find("lease", SYSTEM, "dlf-operator").unwrap();
        let spec = &found["spec"];
        Self {
            holder: spec["holderIdentity"].as_str().unwrap_or_default().into(),
            transitions: spec["leaseTransitions"].as_u64().unwrap_or_default(),
            acquired: time(&spec["acquireTime"]),
            renewed: time(&spec["renewTime"]),
        }
    }

    /// How long nobody led: from what the leader `before` wrote last until another took the Lease.
    pub(crate) fn vacant_since(&self, before: &Self) -> SignedDuration {
        self.acquired.duration_since(before.renewed)
    }
}

/// The container that a pod of ours runs.
pub(crate) fn container(pod: &str) -> Value {
    let found = find("pod", SYSTEM, pod).unwrap_or_else(|| panic!("there is no pod {pod}"));
    found["status"]["containerStatuses"][0]["containerID"].clone()
}

/// When a container that was killed ended, once its pod's status says so.
pub(crate) fn ended(pod: &str, container: &Value) -> Timestamp {
    let what = format!("the end of {container} to be recorded");
    await_object(&what, RECORDED_WITHIN, ("pod", SYSTEM, pod), |pod| {
        let seen = &pod.ok_or("the pod is gone")?["status"]["containerStatuses"][0];
        let ends = ["state", "lastState"].map(|state| &seen[state]["terminated"]);
        ends.into_iter()
            .find(|end| end["containerID"] == *container)
            .map(|end| time(&end["finishedAt"]))
            .ok_or_else(|| seen.to_string())
    })
}
