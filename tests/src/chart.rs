//! The installed chart: other values for a while.

use std::{path::Path, process::Command, thread, time::Duration};

use sha2::{Digest, Sha256};

use crate::{Output, POD_WITHIN, eventually, kubectl, run, settings};

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
        .args(["--namespace", "dlf-system"])
        .args(arguments);
    run(&mut command, input.as_bytes())
}

/// Upgrades the release to the working tree's chart with these values besides those it has, and waits
/// until its mounter runs.
pub fn upgrade(values: &[&str]) {
    let chart = Path::new("../deploy/chart");
    let chart = chart.to_string_lossy();
    // Values of the release over the defaults of this chart, which an older one did not have.
    let wait = ["--reset-then-reuse-values", "--wait", "--timeout", "3m"];
    let _ = helm(&[&["upgrade", "dlf", &chart], &wait[..], values].concat()).expect_ok();
    let _ = installed_mounter();
}

/// The mounter of the release's present values, as kubectl names it, once it runs on every node. Helm does
/// not wait for it: the operator makes it, and one with earlier values may still make its own meanwhile.
///
/// # Panics
/// When it does not come.
#[must_use]
pub fn installed_mounter() -> String {
    let ours = |name: &str, path: &str| kubectl(&["-n", "dlf-system", "get", name, "-o", path]);
    let path = "jsonpath={.data.daemonset\\.yaml}";
    let template = ours("configmap/dlf-mounter-template", path).expect_ok();
    let revision = hex::encode(&Sha256::digest(template.as_bytes())[..4]);
    let name = format!("daemonset.apps/dlf-mounter-{revision}");
    let runs_within = MOUNTER_MADE_WITHIN + POD_WITHIN;
    eventually("the mounter to run on every node", runs_within, || {
        let path = "jsonpath={.status.numberReady} {.status.desiredNumberScheduled}";
        let counts = ours(&name, path);
        match counts.text.split_once(' ') {
            Some((ready, wanted)) if ready == wanted && ready != "0" => Ok(()),
            _ => Err(format!("{name}: {counts:?}")),
        }
    });
    name
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
        let rolled = helm(&[&back[..], &["--wait", "--timeout", "3m"]].concat());
        if thread::panicking() {
            eprintln!("going back to the values: {}", rolled.error);
        } else {
            let _ = rolled.expect_ok();
            let _ = installed_mounter();
        }
    }
}
