use std::fmt;

use serde::Serialize;

use crate::text;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// As it should be.
    Ok,
    /// Works, and somebody should look.
    Warn,
    /// Does not work.
    Fail,
    /// Could not be looked at, which says nothing about it.
    Skipped,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skipped => "--",
        }
    }
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) found: String,
    /// The way out; of what is no failure, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Outcome::Ok, name, found, None)
    }

    pub(super) fn warn(
        name: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Outcome::Warn, name, found, Some(remedy.into()))
    }

    pub(super) fn fail(
        name: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Outcome::Fail, name, found, Some(remedy.into()))
    }

    pub(super) fn skipped(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Outcome::Skipped, name, found, None)
    }

    fn new(
        outcome: Outcome,
        name: impl Into<String>,
        found: impl Into<String>,
        remedy: Option<String>,
    ) -> Self {
        Self {
            name: name.into(),
            outcome,
            found: found.into(),
            remedy,
        }
    }
}

/// All checks.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) namespace: String,
    pub(super) checks: Vec<Check>,
}

impl Report {
    pub(super) fn passed(&self) -> bool {
        self.count(Outcome::Fail) == 0
    }

    fn count(&self, outcome: Outcome) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.outcome == outcome).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let word = check.outcome.word();
            writeln!(f, "{word:<6}{}: {}", check.name, check.found)?;
            if let Some(remedy) = &check.remedy {
                f.write_str(&text::indented(&format!("-> {remedy}"), 6))?;
            }
        }
        let [ok, warn, fail, skipped] =
            [Outcome::Ok, Outcome::Warn, Outcome::Fail, Outcome::Skipped]
                .map(|outcome| self.count(outcome));
        write!(
            f,
            "\n{ok} ok, {}, {fail} failed",
            text::counted(warn as u64, "warning")
        )?;
        if skipped > 0 {
            write!(f, ", {skipped} could not be looked at")?;
        }
        writeln!(f)
    }
}
