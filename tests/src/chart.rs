//! The installed chart: other values for a while.

use std::{path::Path, process::Command, thread, time::Duration};

use sha2::{Digest, Sha256};

use crate::{LONG_LIMIT, Output, POD_WITHIN, await_object, find, run_within, settings, timeout};

const NAMESPACE: &str = "dlf-system";

/// Helm waits for every Deployment and `DaemonSet` of the chart, of which nodes make one pod after the other.
const RELEASED_WITHIN: Duration = Duration::from_mins(3);

/// A leader that has the present values makes the mounter. It may first have to be elected.
const MOUNTER_MADE_WITHIN: Duration = Duration::from_mins(1);

/// Runs helm in our namespace.
#[must_use]
pub fn helm(arguments: &[&str]) -> Output {
    helm_with(arguments, "")
}

/// Runs helm in our namespace with something to read.
#[must_use]
pub fn helm_with(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(settings().get("HELM"));
    command
        .env("KUBECONFIG", settings().get("KUBECONFIG"))
        .args(["--namespace", NAMESPACE])
        .args(arguments);
    run_within(LONG_LIMIT, &command, input.as_bytes())
}

/// Upgrades the release to the working tree's chart with these values besides those it has, and waits
/// until its mounter runs.
pub fn upgrade(values: &[&str]) {
    let chart = Path::new("../deploy/chart");
    let chart = chart.to_string_lossy();
    // Values of the release over the defaults of this chart, which an older one did not have.
    let wait = [
        "--reset-then-reuse-values",
        "--wait",
        &timeout(RELEASED_WITHIN),
    ];
    let _ = helm(&[&["upgrade", "dlf", &chart], &wait[..], values].concat()).expect_ok();
    let _ = installed_mounter();
}

/// The mounter of the release's present values, as kubectl names it, once it runs on every node. Helm does
/// not wait for it: the operator makes it, and one with earlier values may still make its own meanwhile.
///
/// # Panics
/// When it does not come, or the release has no template of one.
#[must_use]
pub fn installed_mounter() -> String {
    let map = find("configmap", NAMESPACE, "dlf-mounter-template").unwrap_or_default();
    let template = map["data"]["daemonset.yaml"].as_str();
    let template = template.unwrap_or_else(|| panic!("dlf-mounter-template has no daemonset.yaml"));
    let revision = hex::encode(&Sha256::digest(template)[..4]);
    let name = format!("dlf-mounter-{revision}");
    let what = format!("{name} to run on every node");
    let (runs_within, mounter) = (
        MOUNTER_MADE_WITHIN + POD_WITHIN,
        ("daemonset", NAMESPACE, &*name),
    );
    await_object(&what, runs_within, mounter, |mounter| {
        let status = &mounter.ok_or("there is none")?["status"];
        let count = |key: &str| status[key].as_u64().unwrap_or_default();
        let ready = count("numberReady");
        if ready > 0 && ready == count("desiredNumberScheduled") {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    format!("daemonset.apps/{name}")
}

/// Values as they were before a test changed them: they are again when this is dropped.
#[derive(Debug)]
pub struct Values {
    revision: String,
}

impl Values {
    /// As they are now.
    #[must_use]
    pub fn kept() -> Self {
        let newest = ["history", "dlf", "--max", "1", "-o", "json"];
        let history = helm(&newest).json();
        Self {
            revision: history[0]["revision"].to_string(),
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        let back = ["rollback", "dlf", &self.revision];
        let wait = ["--wait", &timeout(RELEASED_WITHIN)];
        let rolled = helm(&[&back[..], &wait].concat());
        if thread::panicking() {
            eprintln!("going back to the values: {}", rolled.error);
        } else {
            let _ = rolled.expect_ok();
            let _ = installed_mounter();
        }
    }
}
