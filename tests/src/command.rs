//! Programs that a test runs, each with a time limit.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::patience;

/// The longest that tests wait in one command are two minutes, of a rollout. What takes longer hangs.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);
/// For what takes so long by itself: an installation that may build images, a script of the test cluster that
/// starts or stops servers, an example with several waits of its own.
pub const LONG_LIMIT: Duration = Duration::from_mins(10);
/// A program that is told to end has this long before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);
/// So much of the end of what it had said is shown of a command beyond its limit.
const SHOWN: usize = 2000;

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

/// Runs a command to its end, with this standard input, for three minutes at most.
///
/// # Panics
/// When it cannot be started at all, or does not end within the limit.
#[must_use]
pub fn run(command: &Command, input: &[u8]) -> Output {
    run_within(LIMIT, command, input)
}

/// The same with another limit, which is multiplied by the patience factor.
///
/// # Panics
/// When it cannot be started at all, or does not end within the limit.
#[must_use]
pub fn run_within(limit: Duration, command: &Command, input: &[u8]) -> Output {
    let (status, said, error) = run_raw(limit, command, input);
    Output {
        ok: status.success(),
        code: status.code(),
        text: String::from_utf8_lossy(&said).into_owned(),
        error: String::from_utf8_lossy(&error).into_owned(),
    }
}

/// The same for output that may be no text: how the command ended, its standard output and its standard error.
pub(crate) fn run_raw(
    limit: Duration,
    command: &Command,
    input: &[u8],
) -> (ExitStatus, Vec<u8>, Vec<u8>) {
    let (limit, line) = (patience(limit), line_of(command));
    let run = || {
        // Files, because a pipe that nobody reads blocks its writer, and because a server that the command
        // leaves behind would hold a pipe open for ever.
        let (mut stdin, stdout, stderr) = (
            tempfile::tempfile()?,
            tempfile::tempfile()?,
            tempfile::tempfile()?,
        );
        stdin.write_all(input)?;
        stdin.rewind()?;
        let began = Instant::now();
        let status = limited(command, limit)
            .stdin(stdin)
            .stdout(Stdio::from(stdout.try_clone()?))
            .stderr(Stdio::from(stderr.try_clone()?))
            .status()?;
        Ok((status, began.elapsed(), content(stdout)?, content(stderr)?))
    };
    let ran: std::io::Result<_> = run();
    let (status, took, said, error) = ran.unwrap_or_else(|error| panic!("{line}: {error}"));
    // Of `timeout` itself: what it runs may end with the same codes.
    let text = String::from_utf8_lossy(&error);
    assert!(!text.starts_with(NOT_STARTED), "{line}: {text}");
    assert!(
        status.success() || took < limit,
        "{line}: not over within {limit:?}; at last it said {:?} and {:?}",
        end_of(&said),
        end_of(&error)
    );
    (status, said, error)
}

/// How `timeout` begins to say that it could not start a program.
const NOT_STARTED: &str = "timeout: failed to run command";

/// The command under `timeout`, with its environment and directory: it ends the command's children as well.
fn limited(command: &Command, limit: Duration) -> Command {
    let mut limited = Command::new("timeout");
    limited
        .arg(format!("--kill-after={}", END_WITHIN.as_secs()))
        .arg(limit.as_secs_f64().to_string())
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        limited.current_dir(directory);
    }
    limited
}

fn line_of(command: &Command) -> String {
    let program = [command.get_program()].into_iter();
    let words: Vec<_> = program
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}

fn content(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn end_of(said: &[u8]) -> String {
    let end = &said[said.len().saturating_sub(SHOWN)..];
    String::from_utf8_lossy(end).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, DirEntry},
        panic::catch_unwind,
    };

    use super::*;
    use crate::eventually;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// What is said of a script that is not over within a second.
    fn said_of(script: &str) -> String {
        let limit = Duration::from_secs(1);
        let panicked = catch_unwind(|| run_within(limit, &sh(script), b"a key")).unwrap_err();
        panicked.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn a_command_beyond_its_limit_is_named_with_what_it_said_but_not_what_it_read() {
        let said = said_of("echo begun; echo why >&2; exec sleep 600");
        for part in ["exec sleep 600: not over within 1s", "begun", "why"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("a key"), "{said}");
    }

    #[test]
    fn a_command_that_does_not_listen_is_killed_with_its_children() {
        let said = said_of("trap '' TERM; sleep 601 & wait; sleep 601");
        assert!(said.contains("not over within 1s"), "{said}");
        let is_child = |process: &DirEntry| {
            fs::read(process.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x00601\x00")
        };
        eventually("its children to go", END_WITHIN, || {
            let mut processes = fs::read_dir("/proc").unwrap().flatten();
            let left = processes.find(is_child);
            left.map_or(Ok(()), |child| Err(format!("{child:?}")))
        });
    }

    #[test]
    fn much_input_and_much_output_do_not_wait_for_each_other() {
        let input: Vec<u8> = (0..4 << 20)
            .map(|byte: u32| byte.to_le_bytes()[0])
            .collect();
        let (status, said, error) = run_raw(LIMIT, &Command::new("cat"), &input);
        assert!(status.success(), "{error:?}");
        assert!(said == input, "{} bytes", said.len());
    }

    #[test]
    fn what_a_command_leaves_behind_is_not_waited_for() {
        let output = run(&sh("setsid sleep 5 & echo done"), b"");
        assert_eq!(output.expect_ok(), "done\n");
    }

    #[test]
    fn a_command_keeps_its_exit_code_even_one_of_timeout() {
        for code in [0, 1, 124, 127, 137] {
            let output = run(&sh(&format!("exit {code}")), b"");
            assert_eq!(output.code, Some(code));
            assert_eq!(output.ok, code == 0);
        }
        assert_eq!(run(&sh("kill -9 $$"), b"").code, None);
    }

    #[test]
    fn a_command_keeps_its_environment_and_directory() {
        let mut command = sh("echo $ONE $TWO; pwd");
        command
            .env("ONE", "1")
            .env("TWO", "2")
            .env_remove("TWO")
            .current_dir("/");
        assert_eq!(run(&command, b"").expect_ok(), "1\n/\n");
    }

    #[test]
    #[should_panic(expected = "no-such-program: timeout: failed to run command")]
    fn a_program_that_is_not_there_is_named() {
        let _ = run(&Command::new("no-such-program"), b"");
    }
}
