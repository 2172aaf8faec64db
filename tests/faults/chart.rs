//! The installed chart: other values for a while, and the mounters that come of them.

use std::{path::Path, process::Command, time::Duration};

use dlf_tests::{Output, POD_WITHIN, eventually, kubectl, run, settings};

/// Runs helm in our namespace.
pub(crate) fn helm(arguments: &[&str]) -> Output {
    helm_with(arguments, "")
}

/// Runs helm in our namespace with something to read.
pub(crate) fn helm_with(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(settings().get("HELM"));
    command
        .env("KUBECONFIG", settings().get("KUBECONFIG"))
        .args(["--namespace", "dlf-system"])
        .args(arguments);
    run(&mut command, input.as_bytes())
}

/// Upgrades the release to the working tree's chart with these values besides those it has.
pub(crate) fn upgrade(values: &[&str]) {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart");
    let chart = chart.to_string_lossy();
    // Values of the release over the defaults of this chart, which an older one did not have.
    let wait = ["--reset-then-reuse-values", "--wait", "--timeout", "3m"];
    let _ = helm(&[&["upgrade", "dlf", &chart], &wait[..], values].concat()).expect_ok();
}

/// Values as they were before a test changed them: they are again when this is dropped.
pub(crate) struct Values {
    revision: String,
}

impl Values {
    pub(crate) fn kept() -> Self {
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
        if !rolled.ok {
            eprintln!("the values are not what they were: {}", rolled.error);
        }
    }
}

/// The mounters, as kubectl names them: `daemonset.apps/NAME`.
pub(crate) fn mounters() -> Vec<String> {
    let label = "app.kubernetes.io/component=mounter";
    let listed = kubectl(&[
        "-n",
        "dlf-system",
        "get",
        "daemonset",
        "-l",
        label,
        "-o",
        "name",
    ]);
    listed.expect_ok().lines().map(str::to_owned).collect()
}

/// Waits until a mounter that was not there before runs on every node; gives its name.
pub(crate) fn new_mounter(before: &[String]) -> String {
    let new = eventually(
        "a mounter of the new revision",
        Duration::from_mins(1),
        || {
            let now = mounters();
            let new = now.iter().find(|name| !before.contains(name)).cloned();
            new.ok_or_else(|| now.join(", "))
        },
    );
    eventually("it to run on every node", POD_WITHIN, || {
        let path = "jsonpath={.status.numberReady} {.status.desiredNumberScheduled}";
        let counts = kubectl(&["-n", "dlf-system", "get", &new, "-o", path]).expect_ok();
        match counts.split_once(' ') {
            Some((ready, wanted)) if ready == wanted && ready != "0" => Ok(()),
            _ => Err(counts),
        }
    });
    new
}
