//! The runner's report: a `JUnit` file as cargo-nextest writes it.

use serde::Deserialize;

/// A test that ran.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ran {
    /// Its program, as the runner names it: `dlf-tests::faults`.
    pub(crate) binary: String,
    /// Its path in that program: `webhook::a_killed_leader…`.
    pub(crate) test: String,
    /// How long it ran, in seconds.
    pub(crate) seconds: f64,
    /// Why it failed; none if it passed.
    pub(crate) failure: Option<String>,
    /// All it said.
    pub(crate) output: String,
}

impl Ran {
    /// What names it among all tests.
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.binary, self.test)
    }

    /// The name of its function.
    pub(crate) fn function(&self) -> &str {
        self.test.rsplit("::").next().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Suites {
    #[serde(default, rename = "testsuite")]
    suites: Vec<Suite>,
}

#[derive(Deserialize)]
struct Suite {
    #[serde(default, rename = "testcase")]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "@name")]
    name: String,
    #[serde(rename = "@classname")]
    binary: String,
    #[serde(rename = "@time")]
    seconds: f64,
    failure: Option<Failure>,
    error: Option<Failure>,
    #[serde(default, rename = "system-out")]
    out: String,
    #[serde(default, rename = "system-err")]
    err: String,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(default, rename = "$text")]
    text: String,
}

/// Reads a report.
pub(crate) fn parse(xml: &str) -> Result<Vec<Ran>, String> {
    let suites: Suites = quick_xml::de::from_str(xml).map_err(|error| error.to_string())?;
    let cases = suites.suites.into_iter().flat_map(|suite| suite.cases);
    Ok(cases.map(Case::ran).collect())
}

impl Case {
    fn ran(self) -> Ran {
        let failure = self.failure.or(self.error);
        Ran {
            failure: failure.map(|failure| failure.message()),
            binary: self.binary,
            test: self.name,
            seconds: self.seconds,
            output: self.out + &self.err,
        }
    }
}

impl Failure {
    /// What the test panicked with; where it did not panic, what became of it.
    fn message(&self) -> String {
        let mut lines = self.text.lines();
        let panicked = lines.any(|line| line.starts_with("thread '"));
        let said = lines.take_while(|line| !ends_message(line));
        let said: Vec<&str> = said.map(str::trim).collect();
        if panicked && !said.is_empty() {
            said.join(" ")
        } else {
            self.kind.clone()
        }
    }
}

fn ends_message(line: &str) -> bool {
    line.starts_with("stack backtrace:") || line.starts_with("note: run with `RUST_BACKTRACE")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What the runner wrote of a passing, a failing and a hanging test.
    pub(crate) const REPORT: &str = include_str!("report.xml");

    #[test]
    fn a_report_tells_names_seconds_messages_and_output() {
        let ran = parse(REPORT).unwrap();
        let names: Vec<String> = ran.iter().map(Ran::id).collect();
        assert_eq!(
            names,
            [
                "dlf-tests::faults node::fails",
                "dlf-tests::faults node::passes",
                "dlf-tests::faults node::hangs"
            ]
        );
        let failures: Vec<Option<&str>> = ran.iter().map(|one| one.failure.as_deref()).collect();
        let told = "waited 90s for a pod: it is Pending <none>";
        assert_eq!(failures, [Some(told), None, Some("test timeout")]);
        assert!((ran[0].seconds - 90.175).abs() < 1e-9);
        assert!(ran[0].output.contains("before & after"));
        assert_eq!(ran[0].function(), "fails");
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(parse("<testsuites><testsuite><testcase/></testsuite></testsuites>").is_err());
        assert!(parse("no report").is_err());
    }
}
