use std::fmt;

use dlf_core::plugin::PluginInfo;
use serde::Serialize;

/// What a suite found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name and version of the plugin; empty when it did not say.
    pub plugin: String,
    /// All that was asked.
    pub checks: Vec<Check>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What should be true, as a sentence.
    pub name: &'static str,
    /// Whether it is.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether what should be true is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Outcome {
    /// It is.
    Passed,
    /// It is not.
    Failed {
        /// What was found.
        found: String,
        /// What to do.
        fix: &'static str,
    },
    /// It does not apply to this plugin, or could not be asked.
    Skipped {
        /// Why.
        found: &'static str,
    },
}

impl Report {
    pub(crate) fn new(info: &PluginInfo) -> Self {
        Self {
            plugin: format!("{} {} ({})", info.name, info.version, info.kind.as_str()),
            checks: Vec::new(),
        }
    }

    pub(crate) fn of_a_stranger(error: &dyn std::error::Error) -> Self {
        let check = Check {
            name: "it says who it is, and speaks a protocol that this host knows",
            outcome: Outcome::Failed {
                found: error.to_string(),
                fix: "answer `describe` with a PluginInfo (docs/plugin-protocol.md)",
            },
        };
        Self {
            plugin: String::new(),
            checks: vec![check],
        }
    }

    /// Enters one check: `found` is what was wrong.
    pub(crate) fn enter(
        &mut self,
        name: &'static str,
        found: Result<(), String>,
        fix: &'static str,
    ) {
        let outcome = match found {
            Ok(()) => Outcome::Passed,
            Err(found) => Outcome::Failed { found, fix },
        };
        self.checks.push(Check { name, outcome });
    }

    /// Enters checks that are not made, and why.
    pub(crate) fn skip(
        &mut self,
        names: impl IntoIterator<Item = &'static str>,
        why: &'static str,
    ) {
        let outcome = Outcome::Skipped { found: why };
        self.checks.extend(names.into_iter().map(|name| Check {
            name,
            outcome: outcome.clone(),
        }));
    }

    /// Whether nothing that was asked is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Failed { .. })) == 0
    }

    fn count(&self, which: fn(&Outcome) -> bool) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| which(&check.outcome)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plugin {}", self.plugin)?;
        for check in &self.checks {
            match &check.outcome {
                Outcome::Passed => writeln!(f, "  ok      {}", check.name)?,
                Outcome::Failed { found, fix } => {
                    writeln!(f, "  FAILED  {}", check.name)?;
                    writeln!(f, "          found: {found}")?;
                    writeln!(f, "          to do: {fix}")?;
                }
                Outcome::Skipped { found } => {
                    writeln!(f, "  skipped {}\n          {found}", check.name)?;
                }
            }
        }
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed { .. }));
        write!(f, "{passed} passed, {failed} failed")?;
        match self.checks.len() - passed - failed {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}
