//! The installed chart: other values for a while.

use std::{path::Path, process::Command, thread};

use crate::{Output, run, settings};

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

/// Upgrades the release to the working tree's chart with these values besides those it has.
pub fn upgrade(values: &[&str]) {
    let chart = Path::new("../deploy/chart");
    let chart = chart.to_string_lossy();
    // Values of the release over the defaults of this chart, which an older one did not have.
    let wait = ["--reset-then-reuse-values", "--wait", "--timeout", "3m"];
    let _ = helm(&[&["upgrade", "dlf", &chart], &wait[..], values].concat()).expect_ok();
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
        }
    }
}
