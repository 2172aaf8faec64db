use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

/// What a command said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether it ended well.
    pub ok: bool,
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
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

/// Runs a command to its end, with this standard input.
///
/// # Panics
/// When it cannot be started at all.
#[must_use]
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    let output = run_raw(command, input);
    Output {
        ok: output.status.success(),
        code: output.status.code(),
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, for output that may be no text.
pub(crate) fn run_raw(command: &mut Command, input: &[u8]) -> std::process::Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends without reading its input is no error of ours.
        let _ = stdin.write_all(input);
    }
    child
        .wait_with_output()
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}
