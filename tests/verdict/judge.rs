//! What a stage's tests come to, after those that failed were run once more.

use std::collections::BTreeMap;

use crate::{junit::Ran, known::Known};

/// The longest message in a line: what fits some lines of a screen.
const MESSAGE_CHARACTERS_MAX: usize = 600;

/// Behind the message of a flaky test that nobody has entered yet.
const NEW: &str = " (new: tests/flaky.txt does not have it)";

/// What became of a test, or of a case in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Skipped,
    /// It failed, and passed when it was run once more.
    Flaky,
    Failed,
}

/// One test, or one case that a test says it skipped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) outcome: Outcome,
    /// The runner's name of a test; a case's own name.
    pub(crate) test: String,
    /// Of all its runs.
    pub(crate) seconds: f64,
    /// Why it was skipped, or how it failed first.
    pub(crate) message: String,
}

/// The runner's filter for the tests that failed; empty if none did.
pub(crate) fn filter(ran: &[Ran]) -> String {
    let failed = ran.iter().filter(|one| one.failure.is_some());
    let terms = failed.map(|one| format!("(binary_id(={}) & test(={}))", one.binary, one.test));
    terms.collect::<Vec<_>>().join(" | ")
}

/// What the tests came to that ran, some of them once more.
pub(crate) fn rows(first: &[Ran], again: &[Ran], known: &Known) -> Vec<Row> {
    let again: BTreeMap<String, &Ran> = again.iter().map(|ran| (ran.id(), ran)).collect();
    let rows = first.iter().flat_map(|ran| match &ran.failure {
        None => skipped_or_passed(ran),
        Some(message) => vec![once_more(
            ran,
            message,
            again.get(&ran.id()).copied(),
            known,
        )],
    });
    rows.collect()
}

fn once_more(first: &Ran, message: &str, again: Option<&Ran>, known: &Known) -> Row {
    let mut message: String = message.chars().take(MESSAGE_CHARACTERS_MAX).collect();
    let outcome = match again {
        Some(ran) if ran.failure.is_none() => Outcome::Flaky,
        _ => Outcome::Failed,
    };
    if outcome == Outcome::Flaky && !known.has(&first.id()) {
        message.push_str(NEW);
    }
    Row {
        outcome,
        test: first.id(),
        seconds: first.seconds + again.map_or(0.0, |ran| ran.seconds),
        message,
    }
}

/// A test that says `SKIPPED` of itself did not pass; one that says it of a case did, and the case counts besides.
fn skipped_or_passed(ran: &Ran) -> Vec<Row> {
    let lines = ran.output.lines();
    let skips = lines.filter_map(|line| line.strip_prefix("SKIPPED ")?.split_once(": "));
    let (own, cases): (Vec<_>, Vec<_>) = skips.partition(|(name, _)| *name == ran.function());
    let row = |outcome, test: &str, seconds, message: &str| Row {
        outcome,
        test: test.to_owned(),
        seconds,
        message: message.to_owned(),
    };
    let own = match own.first() {
        Some((_, reason)) => row(Outcome::Skipped, &ran.id(), ran.seconds, reason),
        None => row(Outcome::Passed, &ran.id(), ran.seconds, ""),
    };
    let cases = cases.into_iter();
    let cases = cases.map(|(name, reason)| row(Outcome::Skipped, name, 0.0, reason));
    [own].into_iter().chain(cases).collect()
}

impl Row {
    /// What a person is told of it; nothing of what passed.
    pub(crate) fn line(&self, stage: &str) -> Option<String> {
        let Self { test, message, .. } = self;
        match self.outcome {
            Outcome::Passed => None,
            Outcome::Skipped => Some(format!("SKIPPED {test}: {message}")),
            Outcome::Flaky => Some(format!("FLAKY {stage}: {test}: {message}")),
            Outcome::Failed => Some(format!("FAILED {stage}: {test}: {message}")),
        }
    }

    /// Its line of `times.tsv`: stage, seconds, outcome, test, message.
    pub(crate) fn tsv(&self, stage: &str) -> String {
        let message = self.message.replace(['\t', '\n'], " ");
        let outcome = match self.outcome {
            Outcome::Passed => "passed",
            Outcome::Skipped => "skipped",
            Outcome::Flaky => "flaky",
            Outcome::Failed => "failed",
        };
        format!(
            "{stage}\t{:.1}\t{outcome}\t{}\t{message}\n",
            self.seconds, self.test
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::junit::{parse, tests::REPORT};

    fn ran(test: &str, failure: Option<&str>) -> Ran {
        Ran {
            binary: "dlf-tests::faults".to_owned(),
            test: test.to_owned(),
            seconds: 2.0,
            failure: failure.map(str::to_owned),
            output: String::new(),
        }
    }

    fn rows(first: &[Ran], again: &[Ran]) -> Vec<Row> {
        super::rows(first, again, &Known::default())
    }

    fn outcomes(rows: &[Row]) -> Vec<(Outcome, &str)> {
        let pairs = rows.iter().map(|row| (row.outcome, row.test.as_str()));
        pairs.collect()
    }

    #[test]
    fn a_test_that_fails_once_is_flaky_and_one_that_fails_twice_failed() {
        let first = [
            ran("a::once", Some("slow")),
            ran("a::twice", Some("broken")),
            ran("a::well", None),
        ];
        let again = [ran("a::once", None), ran("a::twice", Some("broken still"))];
        let rows = rows(&first, &again);
        assert_eq!(
            outcomes(&rows),
            [
                (Outcome::Flaky, "dlf-tests::faults a::once"),
                (Outcome::Failed, "dlf-tests::faults a::twice"),
                (Outcome::Passed, "dlf-tests::faults a::well"),
            ]
        );
        assert_eq!(rows[1].message, "broken", "the first message is kept");
        assert!((rows[0].seconds - 4.0).abs() < 1e-9);
    }

    #[test]
    fn a_test_that_is_not_run_once_more_failed() {
        let rows = rows(&[ran("a::once", Some("slow"))], &[]);
        assert_eq!(rows[0].outcome, Outcome::Failed);
    }

    #[test]
    fn a_test_that_skips_itself_did_not_pass_and_a_skipped_case_counts_besides() {
        let rows = rows(&parse(REPORT).unwrap(), &[]);
        assert_eq!(
            outcomes(&rows)[1..3],
            [
                (Outcome::Skipped, "dlf-tests::faults node::passes"),
                (Outcome::Skipped, "a_case_of_it"),
            ]
        );
    }

    #[test]
    fn the_filter_names_program_and_test_of_each_failure() {
        let found = [ran("a::once", Some("slow")), ran("a::well", None)];
        let term = "(binary_id(=dlf-tests::faults) & test(=a::once))";
        assert_eq!(filter(&found), term);
        assert_eq!(filter(&found[1..]), "");
    }

    #[test]
    fn a_flaky_test_that_nobody_has_entered_is_called_new() {
        let line = |known: &str| {
            let known = Known::parse(known).unwrap();
            let (first, again) = ([ran("a::once", Some("slow"))], [ran("a::once", None)]);
            super::rows(&first, &again, &known)[0]
                .line("faults")
                .unwrap()
        };
        let told = "FLAKY faults: dlf-tests::faults a::once: slow";
        assert_eq!(line(""), format!("{told}{NEW}"));
        let entered = "dlf-tests::faults a::once\t2026-11-29\tslow\tthe disk\n";
        assert_eq!(line(entered), told);
    }

    #[test]
    fn a_row_of_times_is_one_line() {
        let found = rows(&[ran("a::once", Some("two\nlines\tand a tab"))], &[]);
        assert_eq!(
            found[0].tsv("faults"),
            "faults\t2.0\tfailed\tdlf-tests::faults a::once\ttwo lines and a tab\n"
        );
    }
}
