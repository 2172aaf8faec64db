use std::process::Command;

use crate::{Output, run, settings};

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
    run(&mut command, input.as_bytes())
}
