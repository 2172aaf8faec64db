use std::fmt;

use dlf_core::plugin::{PlanError, PluginInfo};
use dlf_plugin_host::carrier::{Fault, NegotiationError};
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

/// What was found instead of what should be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    found: String,
    /// What to do, where the plugin did something else than to answer.
    fix: Option<&'static str>,
}

impl Wrong {
    /// The same, found in a place.
    pub(crate) fn at(self, place: &str) -> Self {
        Self {
            found: format!("{place}: {}", self.found),
            ..self
        }
    }

    /// What was found.
    pub(crate) fn found(&self) -> &str {
        &self.found
    }

    /// What a reply says, if it says that the plugin did something else than to answer.
    pub(crate) fn of_reply(reply: &serde_json::Value) -> Option<Self> {
        let error: PlanError = serde_json::from_value(reply.get("error")?.clone()).ok()?;
        Some(Self::from(error)).filter(|wrong| wrong.fix.is_some())
    }
}

impl From<String> for Wrong {
    fn from(found: String) -> Self {
        Self { found, fix: None }
    }
}

impl From<PlanError> for Wrong {
    fn from(error: PlanError) -> Self {
        Self {
            fix: fix_of(&error.reason),
            found: format!("{}: {}", error.reason, error.message),
        }
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        fault.error().into()
    }
}

/// What to do about a class of fault, whatever was asked.
fn fix_of(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "PluginCrashed" | "PluginPanicked" => {
            "it ended or panicked while it was asked: read what it wrote to standard error"
        }
        "PluginUnreachable" => {
            "it does not run, or does not connect in time: read what it wrote to standard error"
        }
        "PluginTimeout" => "look for a loop or a wait in it: it gave no answer",
        "PluginGarbage" => {
            "answer what the schemas in docs/plugin-protocol say: this answer does not fit"
        }
        "PluginFailed" => "mend what the message names: it is the plugin's own",
        "PluginUnavailable" => "mend what failed above: after faults in a row it is not asked",
        _ => return None,
    })
}

impl Report {
    pub(crate) fn new(info: &PluginInfo) -> Self {
        Self {
            plugin: format!("{} {} ({})", info.name, info.version, info.kind.as_str()),
            checks: Vec::new(),
        }
    }

    pub(crate) fn of_a_stranger(error: NegotiationError) -> Self {
        let mut report = Self {
            plugin: String::new(),
            checks: Vec::new(),
        };
        let found = error.to_string();
        let Wrong { fix, .. } = Wrong::from(PlanError::from(error));
        report.enter(
            "it says who it is, and speaks a protocol that this host knows",
            Err(Wrong { found, fix }),
            "answer `describe` with a PluginInfo (docs/plugin-protocol.md)",
        );
        report
    }

    /// Enters one check: `found` is what was wrong. `fix` is what to do, unless that follows from what the
    /// plugin did instead of answering.
    pub(crate) fn enter(
        &mut self,
        name: &'static str,
        found: Result<(), impl Into<Wrong>>,
        fix: &'static str,
    ) {
        let outcome = match found.map_err(Into::into) {
            Ok(()) => Outcome::Passed,
            Err(wrong) => Outcome::Failed {
                fix: wrong.fix.unwrap_or(fix),
                found: wrong.found,
            },
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
