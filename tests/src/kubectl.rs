use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::settings;

/// What a command said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether it ended well.
    pub ok: bool,
    /// Its standard output.
    pub text: String,
    /// Its standard error.
    pub error: String,
}

impl Output {
    /// Standard output of a command that has to end well.
    ///
    /// # Panics
    /// When it did not: with what it said.
    #[must_use]
    pub fn expect_ok(self) -> String {
        assert!(self.ok, "{}{}", self.text, self.error);
        self.text
    }

    /// Standard error of a command that has to fail.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn expect_refused(self) -> String {
        assert!(!self.ok, "expected a refusal, got: {}", self.text);
        self.error
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When the command failed or said something else.
    #[must_use]
    pub fn json(self) -> Value {
        let text = self.expect_ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

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
    let mut child = Command::new(settings().get("KUBECTL"))
        .env("KUBECONFIG", settings().get("KUBECONFIG"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("kubectl: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends without reading its input is no error of ours.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .unwrap_or_else(|error| panic!("kubectl: {error}"));
    Output {
        ok: output.status.success(),
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
