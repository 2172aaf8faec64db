use std::{process::Command, time::Duration};

use crate::{Output, patience, run, settings};

/// Runs `kubectl` with these arguments.
#[must_use]
pub fn kubectl(arguments: &[&str]) -> Output {
    kubectl_with(arguments, "")
}

/// Runs `kubectl` with these arguments and this standard input.
///
/// # Panics
/// When it cannot be started at all.
#[must_use]
pub fn kubectl_with(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(settings().get("KUBECTL"));
    command
        .env("KUBECONFIG", settings().get("KUBECONFIG"))
        .args(arguments);
    run(&command, input.as_bytes())
}

/// The flag by which kubectl and helm wait for so long, times the patience factor.
#[must_use]
pub fn timeout(within: Duration) -> String {
    format!("--timeout={}s", patience(within).as_secs())
}
