use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;

use crate::arguments::Format;

/// Prints a value for programs.
pub(crate) fn print(value: &impl Serialize, format: Format) -> Result<(), Box<dyn Error>> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(value)?,
        Format::Yaml => yaml(value)?,
    };
    show(&text)
}

/// Prints a text; who reads it may stop at any time, as `head` does.
pub(crate) fn show(text: &str) -> Result<(), Box<dyn Error>> {
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// What a program sees of a report.
pub(crate) const fn exit_code(passed: bool) -> ExitCode {
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A value as YAML.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, Box<dyn Error>> {
    Ok(serde_saphyr::to_string(&serde_json::to_value(value)?)?)
}
