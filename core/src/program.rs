//! The mounter's table of programs: what a plan may name, and the options it may set.

use std::collections::BTreeMap;

use thiserror::Error;

/// A program that the mounter can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The name plans use.
    pub name: &'static str,
    /// Keys of the options a plan may set; URL, keys file, mount point, ids and time-outs are the
    /// mounter's own.
    pub options: &'static [&'static str],
}

/// All there are.
pub const PROGRAMS: [Program; 2] = [
    Program {
        name: "native",
        options: &[],
    },
    Program {
        name: "s3fs",
        options: &["multipart_size", "parallel_count", "stat_cache_expire"],
    },
];

/// What a plan got wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// A program outside the table.
    #[error("there is no mount program {found:?}; there are {known}")]
    Unknown {
        /// What the plan said.
        found: String,
        /// What there is.
        known: String,
    },
    /// An option outside the program's list.
    #[error("mount program {program} takes no option {key:?}; it takes {known}")]
    Option {
        /// The program.
        program: &'static str,
        /// What the plan said.
        key: String,
        /// What it takes.
        known: String,
    },
}

/// Whether the table has this program with these options.
pub fn check(program: &str, options: &BTreeMap<String, String>) -> Result<(), ProgramError> {
    let Some(entry) = PROGRAMS.iter().find(|entry| entry.name == program) else {
        let known = PROGRAMS.map(|entry| entry.name).join(", ");
        return Err(ProgramError::Unknown {
            found: program.to_owned(),
            known,
        });
    };
    match options
        .keys()
        .find(|key| !entry.options.contains(&key.as_str()))
    {
        None => Ok(()),
        Some(key) => Err(ProgramError::Option {
            program: entry.name,
            key: key.clone(),
            known: if entry.options.is_empty() {
                "none".to_owned()
            } else {
                entry.options.join(", ")
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_a_program_and_options_of_the_table() {
        let options = |key: &str| BTreeMap::from([(key.to_owned(), "1".to_owned())]);
        assert_eq!(check("native", &BTreeMap::new()), Ok(()));
        assert_eq!(check("s3fs", &options("multipart_size")), Ok(()));
        let refused = check("s3fs", &options("url")).unwrap_err().to_string();
        assert!(
            refused.contains("url") && refused.contains("multipart_size"),
            "{refused}"
        );
        assert!(
            check("/bin/sh", &BTreeMap::new())
                .unwrap_err()
                .to_string()
                .contains("native")
        );
    }
}
