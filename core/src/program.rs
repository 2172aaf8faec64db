//! The programs that can serve a FUSE mount, and the options each of them takes.
//!
//! A plan names a program and options of this table; everything else a program is started with
//! (address, keys, mount point, ids, time-outs) is the mounter's own. What is not in the table is
//! refused when the plan is checked, and once more by the mounter.

use std::fmt;
use std::str::FromStr;

/// A program of the mounter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// DLF's own file system over its own client.
    Native,
    /// s3fs-fuse, for those who need its attributes on the bucket.
    S3fs,
}

impl Program {
    /// All of them, the default first.
    pub const ALL: [Self; 2] = [Self::Native, Self::S3fs];

    /// The name that a plan uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::S3fs => "s3fs",
        }
    }

    /// Whether it can sign with temporary keys. s3fs takes their token from its environment only, where
    /// anybody of the node's could read it, and would never take the next one.
    #[must_use]
    pub const fn takes_session_token(self) -> bool {
        match self {
            Self::Native => true,
            Self::S3fs => false,
        }
    }

    /// The keys it takes, and what may stand behind each.
    const fn options(self) -> &'static [(&'static str, Value)] {
        match self {
            // What a native mount does is in typed fields (`spec.mount`, `spec.cache`).
            Self::Native => &[],
            Self::S3fs => S3FS_OPTIONS,
        }
    }
}

/// Options of s3fs 1.90 (s3fs(1)) that change neither where it reads, nor as whom, nor what it may
/// write on the node. Bounds are s3fs's own where it has some, else what a child can afford.
const S3FS_OPTIONS: &[(&str, Value)] = &[
    ("complement_stat", Value::Flag),
    ("connect_timeout", Value::Number(1, 300)),
    ("enable_noobj_cache", Value::Flag),
    ("list_object_max_keys", Value::Number(1, 1_000)),
    ("max_dirty_data", Value::Number(50, 5_120)),
    ("max_stat_cache_size", Value::Number(0, 1_000_000)),
    ("mime", Value::Flag),
    ("multipart_size", Value::Number(5, 512)),
    ("multireq_max", Value::Number(1, 64)),
    ("nocopyapi", Value::Flag),
    ("nomultipart", Value::Flag),
    ("norenameapi", Value::Flag),
    ("notsup_compat_dir", Value::Flag),
    ("parallel_count", Value::Number(1, 16)),
    ("readwrite_timeout", Value::Number(1, 600)),
    ("retries", Value::Number(0, 20)),
    ("sigv2", Value::Flag),
    ("stat_cache_expire", Value::Number(0, 86_400)),
    ("use_xattr", Value::Flag),
];

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Nothing, or `true`.
    Flag,
    /// From the first to the second.
    Number(u32, u32),
}

impl Value {
    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Flag => matches!(text, "" | "true"),
            Self::Number(min, max) => text
                .parse()
                .is_ok_and(|number: u32| (min..=max).contains(&number)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("nothing or \"true\""),
            Self::Number(min, max) => write!(f, "a number from {min} to {max}"),
        }
    }
}

/// Why a program or an option is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is no such program.
    #[error("the mounter has no program {found:?}; it has {}", names())]
    Unknown {
        /// What was asked for.
        found: String,
    },
    /// The program does not take this option, or it is not a plan's to set.
    #[error("program {program} does not take the option {key:?}")]
    UnknownOption {
        /// The program's name.
        program: &'static str,
        /// The refused key.
        key: String,
    },
    /// The option's value is refused.
    #[error("option {key:?} of program {program} takes {expected}, not {found:?}")]
    InvalidValue {
        /// The program's name.
        program: &'static str,
        /// The option's key.
        key: String,
        /// What was given.
        found: String,
        /// What it takes, for people.
        expected: String,
    },
}

fn names() -> String {
    Program::ALL.map(Program::name).join(", ")
}

impl FromStr for Program {
    type Err = ProgramError;

    fn from_str(name: &str) -> Result<Self, ProgramError> {
        let found = Self::ALL.into_iter().find(|program| program.name() == name);
        found.ok_or_else(|| ProgramError::Unknown {
            found: name.to_owned(),
        })
    }
}

/// Checks a program's name and options against the table; the first that is refused is named.
pub fn check<'a>(
    program: &str,
    options: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Program, ProgramError> {
    let program: Program = program.parse()?;
    for (key, found) in options {
        let known = program.options().iter().find(|(known, _)| known == key);
        let (_, value) = known.ok_or_else(|| ProgramError::UnknownOption {
            program: program.name(),
            key: key.clone(),
        })?;
        if !value.accepts(found) {
            return Err(ProgramError::InvalidValue {
                program: program.name(),
                key: key.clone(),
                found: found.clone(),
                expected: value.to_string(),
            });
        }
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn programs_and_options_of_the_table_pass() {
        assert_eq!(check("native", &options(&[])), Ok(Program::Native));
        let options = options(&[
            ("parallel_count", "5"),
            ("use_xattr", ""),
            ("nocopyapi", "true"),
        ]);
        assert_eq!(check("s3fs", &options), Ok(Program::S3fs));
    }

    #[test]
    fn the_table_is_sorted_and_no_value_can_hold_another_option() {
        let keys: Vec<_> = S3FS_OPTIONS.iter().map(|(key, _)| key).collect();
        assert!(keys.is_sorted());
        for (_, value) in S3FS_OPTIONS {
            for text in ["5,passwd_file=/x", "true,url=http://x", "5 ", "-5", "x"] {
                assert!(!value.accepts(text), "{value:?} {text}");
            }
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        for (program, key, value, named) in [
            ("goofys", "", "", "goofys"),
            ("native", "url", "http://x", "url"),
            ("s3fs", "passwd_file", "/etc/shadow", "passwd_file"),
            ("s3fs", "url", "http://169.254.169.254", "url"),
            ("s3fs", "multipart_size", "100000", "from 5 to 512"),
        ] {
            let error = check(program, &options(&[(key, value)])).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
