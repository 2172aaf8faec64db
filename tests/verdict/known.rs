//! The tests that people know to be flaky: `tests/flaky.txt`.

use std::collections::BTreeSet;

/// Columns of a line: test, first seen, message, what is known.
const COLUMNS: usize = 4;

/// Names of the tests in the file.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeSet<String>);

impl Known {
    /// Reads the file: lines of columns that tabs part, beside comments and empty lines.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate();
        let tests = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        tests
            .map(|(number, line)| {
                let columns: Vec<&str> = line.split('\t').collect();
                let complete =
                    columns.len() == COLUMNS && columns.iter().all(|text| !text.is_empty());
                complete.then(|| columns[0].to_owned()).ok_or_else(|| {
                    format!(
                        "line {} of tests/flaky.txt: expected test, first seen, message and what is known, \
                         parted by tabs, and found {line:?}",
                        number + 1
                    )
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a test is one of them.
    pub(crate) fn has(&self, test: &str) -> bool {
        self.0.contains(test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_this_checkout_is_well_formed() {
        Known::parse(include_str!("../flaky.txt")).unwrap();
    }

    #[test]
    fn a_line_without_all_columns_is_named() {
        let error = Known::parse("# heading\n\na b\t2026-11-29\tmessage\n").unwrap_err();
        assert!(error.starts_with("line 3 of tests/flaky.txt"), "{error}");
    }

    #[test]
    fn a_test_is_known_by_its_whole_name() {
        let known = Known::parse("dlf-tests::faults a::b\t2026-11-29\tmessage\tcause\n").unwrap();
        assert!(known.has("dlf-tests::faults a::b"));
        assert!(!known.has("dlf-tests::faults a"));
    }
}
