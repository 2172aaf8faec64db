//! Reads what the test runner reports of a stage, and says what it comes to: what passed, what was skipped,
//! what passed only when it was run once more, and what failed.
//!
//! ```text
//! dlf-verdict judge STAGE TIMES FIRST.xml [AGAIN.xml]   prints SKIPPED, FLAKY and FAILED lines, and appends
//!                                                       a row for each test to the file TIMES
//! dlf-verdict again FIRST.xml                           prints a filter of the runner for the tests that failed
//! ```
//! `tests/run.sh` calls it in the checkout's directory; what failed first and passed then is kept in
//! `target/test/flaky`.

mod judge;
mod junit;
mod known;

use std::{env, fs, io::Write, path::Path, process::ExitCode};

use judge::{Outcome, Row};
use junit::Ran;
use known::Known;

/// Output of tests that failed first and passed then.
const KEPT: &str = "target/test/flaky";
/// The tests that people know to be flaky.
const KNOWN: &str = "tests/flaky.txt";
const USAGE: &str = "usage: dlf-verdict judge STAGE TIMES FIRST.xml [AGAIN.xml] | again FIRST.xml";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["again", first] => read(first).map(|ran| println!("{}", judge::filter(&ran))),
        ["judge", stage, times, first] => judge(stage, times, first, None),
        ["judge", stage, times, first, again] => judge(stage, times, first, Some(again)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dlf-verdict: {error}");
            ExitCode::from(2)
        }
    }
}

fn judge(stage: &str, times: &str, first: &str, again: Option<&str>) -> Result<(), String> {
    let known = Known::parse(&text(KNOWN)?)?;
    let first = read(first)?;
    let again = again.map_or(Ok(Vec::new()), read)?;
    let rows = judge::rows(&first, &again, &known);
    for row in &rows {
        if let Some(line) = row.line(stage) {
            println!("{line}");
        }
    }
    for ran in first.iter().filter(|ran| is_flaky(&rows, ran)) {
        keep(stage, ran)?;
    }
    let rows: String = rows.iter().map(|row| row.tsv(stage)).collect();
    let file = fs::OpenOptions::new().create(true).append(true).open(times);
    let written = file.and_then(|mut file| file.write_all(rows.as_bytes()));
    written.map_err(|error| format!("{times}: {error}"))
}

fn is_flaky(rows: &[Row], ran: &Ran) -> bool {
    rows.iter()
        .any(|row| row.outcome == Outcome::Flaky && row.test == ran.id())
}

/// Keeps what a test said when it failed.
fn keep(stage: &str, ran: &Ran) -> Result<(), String> {
    let name = ran.id().replace([' ', ':'], "-");
    let file = Path::new(KEPT).join(format!("{stage}-{name}.log"));
    let written = fs::create_dir_all(KEPT).and_then(|()| fs::write(&file, &ran.output));
    written.map_err(|error| format!("{}: {error}", file.display()))
}

fn read(file: &str) -> Result<Vec<Ran>, String> {
    junit::parse(&text(file)?).map_err(|error| format!("{file}: {error}"))
}

fn text(file: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))
}
