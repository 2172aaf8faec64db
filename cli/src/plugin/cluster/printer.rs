use std::{
    error::Error,
    io::{self, IsTerminal, Write},
};

use super::{
    super::report::{Check, Outcome, Report},
    order::Step,
};
use crate::{arguments::Shown, output};

/// Shows each step as it ends: to people, or beside an answer for programs.
pub(super) struct Printer {
    pub(super) shown: Shown,
}

impl Printer {
    pub(super) fn line(&self, text: &str) -> Result<(), Box<dyn Error>> {
        if self.shown.output.is_some() {
            eprintln!("{text}");
            return Ok(());
        }
        output::show(text)
    }

    /// A person at a terminal sees what is going on.
    pub(super) fn begin(&self, step: Step) -> Result<(), Box<dyn Error>> {
        if self.shown.output.is_none() && io::stdout().is_terminal() {
            let mut out = io::stdout().lock();
            write!(out, "  ...     {}", step.sentence())?;
            out.flush()?;
        }
        Ok(())
    }

    pub(super) fn enter(
        &self,
        report: &mut Report,
        step: Step,
        outcome: Outcome,
    ) -> Result<(), Box<dyn Error>> {
        if self.shown.output.is_none() && io::stdout().is_terminal() {
            // Takes away what `begin` wrote.
            write!(io::stdout().lock(), "\r\x1b[K")?;
        }
        let check = Check {
            name: step.sentence(),
            outcome,
        };
        let shown = check.to_string();
        report.checks.push(check);
        self.line(&shown)
    }
}
