//! What a suite found, as `plugin check` shows it.

use std::fmt;

use dlf_plugin_conformance as suite;
use serde::Serialize;

/// What a suite found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The plugin: its name, version and kind.
    pub(super) plugin: String,
    /// All that was asked.
    pub(super) checks: Vec<Check>,
}

/// One question.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// What should be true, as a sentence.
    pub(super) name: String,
    /// Whether it is.
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// Whether what should be true is.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub(super) enum Outcome {
    /// It is.
    Passed {
        /// What was found, where that is worth a line.
        #[serde(skip_serializing_if = "Option::is_none")]
        found: Option<String>,
    },
    /// It is not.
    Failed {
        /// What was found.
        found: String,
        /// What to do.
        fix: String,
    },
    /// It does not apply, or could not be asked.
    Skipped {
        /// Why.
        found: String,
    },
}

impl Report {
    /// Whether nothing that was asked is wrong.
    pub(super) fn passed(&self) -> bool {
        let mut checks = self.checks.iter();
        !checks.any(|check| matches!(check.outcome, Outcome::Failed { .. }))
    }

    /// The line above the checks.
    pub(super) fn head(&self) -> String {
        format!("plugin {}", self.plugin)
    }

    /// The line below the checks.
    pub(super) fn summary(&self) -> String {
        let count = |which: fn(&Outcome) -> bool| {
            let checks = self.checks.iter();
            checks.filter(|check| which(&check.outcome)).count()
        };
        let passed = count(|outcome| matches!(outcome, Outcome::Passed { .. }));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
        match count(|outcome| matches!(outcome, Outcome::Skipped { .. })) {
            0 => format!("{passed} passed, {failed} failed"),
            skipped => format!("{passed} passed, {failed} failed, {skipped} skipped"),
        }
    }
}

impl From<suite::Report> for Report {
    fn from(report: suite::Report) -> Self {
        let checks = report.checks.into_iter().map(|check| Check {
            name: check.name.to_owned(),
            outcome: match check.outcome {
                suite::Outcome::Passed => Outcome::Passed { found: None },
                suite::Outcome::Failed { found, fix } => Outcome::Failed {
                    found,
                    fix: fix.to_owned(),
                },
                suite::Outcome::Skipped { found } => Outcome::Skipped {
                    found: found.to_owned(),
                },
            },
        });
        Self {
            plugin: report.plugin,
            checks: checks.collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head())?;
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        f.write_str(&self.summary())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.outcome {
            Outcome::Passed { found: None } => write!(f, "  ok      {name}"),
            Outcome::Passed { found: Some(found) } => {
                write!(f, "  ok      {name}\n          {found}")
            }
            Outcome::Failed { found, fix } => {
                write!(
                    f,
                    "  FAILED  {name}\n          found: {found}\n          to do: {fix}"
                )
            }
            Outcome::Skipped { found } => write!(f, "  skipped {name}\n          {found}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_what_was_found_and_what_to_do() {
        let check = |name: &str, outcome| Check {
            name: name.to_owned(),
            outcome,
        };
        let found = "a thing".to_owned();
        let report = Report {
            plugin: "acme 1 (caching)".to_owned(),
            checks: vec![
                check("a", Outcome::Passed { found: None }),
                check(
                    "b",
                    Outcome::Failed {
                        found: found.clone(),
                        fix: "mend it".to_owned(),
                    },
                ),
                check("c", Outcome::Skipped { found }),
            ],
        };
        assert!(!report.passed());
        assert_eq!(
            report.to_string(),
            "\
plugin acme 1 (caching)
  ok      a
  FAILED  b
          found: a thing
          to do: mend it
  skipped c
          a thing
1 passed, 1 failed, 1 skipped"
        );
        let shown = serde_json::to_value(&report).unwrap();
        assert_eq!(
            shown["checks"][0],
            serde_json::json!({ "name": "a", "outcome": "passed" })
        );
        assert_eq!(shown["checks"][2]["outcome"], "skipped");
    }
}
