//! Programs that write to a mount as their users have them do.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dlf_tests::{Output, run_within};

/// For a program that does little beside its reading and writing. A request to the source may take 90 s
/// before it fails.
const LIMIT: Duration = Duration::from_mins(4);

/// Debian's Python, for which `tests/tools.sh python-packages` has packages. Another may come before it in
/// the path.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// Runs a script of the shell in `directory`.
pub fn sh(directory: &Path, script: &str) -> Output {
    run_in(directory, "sh", &["-c", script])
}

/// Runs a script of Python in `directory`, with these arguments.
pub fn python(directory: &Path, script: &str, arguments: &[&str]) -> Output {
    run_in(directory, "python3", &[&["-c", script], arguments].concat())
}

pub fn run_in(directory: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    run_within(LIMIT, &command, b"")
}

/// Whether all of these programs are on this machine; if not, says that the test does not run.
pub fn are_there(test: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !is_there(program));
    if let Some(missing) = missing {
        println!("SKIPPED {test}: there is no {missing} on this machine");
    }
    missing.is_none()
}

/// Whether a program is on this machine.
pub fn is_there(program: &str) -> bool {
    let look = ["-c", "command -v \"$0\"", program];
    run_in(Path::new("/"), "sh", &look).ok
}

/// Whether Python is there, with these modules of its own library; if not, says that the test does not run.
pub fn python_has(test: &str, modules: &str) -> bool {
    if !are_there(test, &["python3"]) {
        return false;
    }
    let has = python(Path::new("/"), &format!("import {modules}"), &[]).ok;
    if !has {
        println!("SKIPPED {test}: this machine's python3 lacks one of {modules}");
    }
    has
}

/// Runs a script in `directory` by the Python that [`packages_are_there`] asks.
pub fn system_python(directory: &Path, script: &str, arguments: &[&str]) -> Output {
    run_in(
        directory,
        SYSTEM_PYTHON,
        &[&["-c", script], arguments].concat(),
    )
}

/// Whether these packages of Python are there; if not, says that the test does not run.
pub fn packages_are_there(test: &str, packages: &str) -> bool {
    let there = is_there(SYSTEM_PYTHON)
        && system_python(Path::new("/"), &format!("import {packages}"), &[]).ok;
    if !there {
        println!(
            "SKIPPED {test}: no {packages} for {SYSTEM_PYTHON} (tests/tools.sh python-packages)"
        );
    }
    there
}
