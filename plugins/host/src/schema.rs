//! What a plugin's section of the configuration may hold: the JSON Schema that the plugin gives of it.
//! The schema is somebody else's, so that it is bounded in all that costs: it is read within the operator.

use dlf_core::{
    plugin::{PlanError, PluginInfo},
    shown,
};
use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};
use thiserror::Error;

/// Longer than any section of a configuration that a person writes.
const BYTES_MAX: usize = 64 << 10;
/// Levels of JSON, what is referred to included: a schema that refers to itself has no end.
const DEPTH_MAX: usize = 64;
/// Values, each counted where it is referred to: what one check costs at most.
const VALUES_MAX: usize = 10_000;
/// Regular expressions, each of which takes memory once compiled.
const PATTERNS_MAX: usize = 64;
/// Bytes of a compiled regular expression.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// What is told of a section that has more mistakes.
const MISTAKES_MAX: usize = 3;
/// Longest text of a schema or a section that is told, in bytes.
const WANTED_BYTES_MAX: usize = 200;

/// Drafts in which `$ref` and `$id` mean what is checked here.
const DRAFTS: [&str; 4] = [
    "json-schema.org/draft/2020-12/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft-06/schema",
];
/// Keywords that lead to other schemas by other ways than a pointer.
const OTHER_WAYS: [&str; 4] = ["$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor"];

/// Why a plugin and its section of the configuration do not come together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misfit {
    /// The schema is none, or costs too much.
    #[error("the configSchema that it gives cannot be enforced: {0}")]
    Schema(String),
    /// The section is not what the schema says.
    #[error("its section of the configuration does not fit its configSchema: {0}")]
    Section(String),
}

impl From<Misfit> for PlanError {
    fn from(misfit: Misfit) -> Self {
        let reason = match &misfit {
            Misfit::Schema(_) => "PluginGarbage",
            Misfit::Section(_) => "PluginMisconfigured",
        };
        Self::new(reason, misfit.to_string())
    }
}

/// Checks a plugin's section of the configuration against the schema that the plugin gives of it. A plugin
/// without one takes anything.
///
/// # Errors
/// Where the section does not fit, what was found there and what the schema wants; or what is wrong with
/// the schema.
pub fn check(info: &PluginInfo, section: &Value) -> Result<(), Misfit> {
    let Some(schema) = &info.config_schema else {
        return Ok(());
    };
    let validator = compile(schema).map_err(Misfit::Schema)?;
    // Who configures nothing has an empty section: what is missing is told by its name.
    let empty = Value::Object(Map::new());
    let section = if section.is_null() { &empty } else { section };
    let mistakes: Vec<_> = validator
        .iter_errors(section)
        .take(MISTAKES_MAX)
        .map(|error| mistake(&error, schema, section))
        .collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(Misfit::Section(mistakes.join("; ")))
}

/// Checks that a schema is one, and that it can be enforced.
///
/// # Errors
/// What is wrong with it, and what may stand there.
pub fn usable(schema: &Value) -> Result<(), String> {
    compile(schema).map(drop)
}

/// Whether nobody configured anything.
#[must_use]
pub fn is_empty(section: &Value) -> bool {
    section.is_null() || section.as_object().is_some_and(Map::is_empty)
}

fn compile(schema: &Value) -> Result<Validator, String> {
    let Some(root) = schema.as_object() else {
        return Err(format!(
            "found {}; expected a JSON Schema, which is an object",
            found(schema)
        ));
    };
    let bytes = schema.to_string().len();
    if bytes > BYTES_MAX {
        return Err(format!("it has {bytes} bytes; {BYTES_MAX} are the most"));
    }
    if let Some(draft) = root.get("$schema") {
        let known = draft.as_str().is_some_and(|draft| {
            let rest = draft.split_once("://").map_or(draft, |(_, rest)| rest);
            DRAFTS.contains(&rest.trim_end_matches('#'))
        });
        if !known {
            return Err(format!(
                "$schema is {draft}; expected https://{}, or leave it out",
                DRAFTS[0]
            ));
        }
    }
    let mut walk = Walk {
        root: schema,
        values: 0,
        patterns: 0,
    };
    walk.visit(schema, 0)?;
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .offline()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| {
            let at = error.instance_path().as_str();
            format!(
                "at {}: {}",
                if at.is_empty() { "/" } else { at },
                short(&error.to_string())
            )
        })
}

/// A way through a schema that follows what it refers to.
struct Walk<'a> {
    root: &'a Value,
    values: usize,
    patterns: usize,
}

impl Walk<'_> {
    fn visit(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(format!(
                "it has more than {VALUES_MAX} values, each counted where it is referred to"
            ));
        }
        if depth > DEPTH_MAX {
            return Err(format!(
                "it is deeper than {DEPTH_MAX} levels, what it refers to included; it may not refer to itself"
            ));
        }
        match value {
            Value::Array(all) => all.iter().try_for_each(|one| self.visit(one, depth + 1)),
            Value::Object(all) => {
                for (key, value) in all {
                    self.keyword(key, value, depth)?;
                    self.visit(value, depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn keyword(&mut self, key: &str, value: &Value, depth: usize) -> Result<(), String> {
        let text = value.as_str();
        match (key, text) {
            ("$ref", Some(target)) => {
                let target = self.target(target)?;
                self.visit(target, depth + 1)
            }
            ("$id" | "$schema", Some(_)) if depth > 0 => Err(format!(
                "{key} stands within it; the schema as a whole may have one"
            )),
            (key, Some(_)) if OTHER_WAYS.contains(&key) => Err(format!(
                "it has {key}; refer to a part of it by $ref: \"#/$defs/NAME\""
            )),
            ("pattern", Some(_)) => self.count_patterns(1),
            ("patternProperties", None) => {
                self.count_patterns(value.as_object().map_or(0, Map::len))
            }
            _ => Ok(()),
        }
    }

    fn count_patterns(&mut self, more: usize) -> Result<(), String> {
        self.patterns += more;
        if self.patterns > PATTERNS_MAX {
            return Err(format!(
                "it has more than {PATTERNS_MAX} regular expressions, each counted where it is referred to"
            ));
        }
        Ok(())
    }
}

impl<'a> Walk<'a> {
    /// What a `$ref` refers to. Nothing is fetched, and a pointer that could be read in two ways is refused.
    fn target(&self, target: &str) -> Result<&'a Value, String> {
        let pointer = target
            .strip_prefix('#')
            .filter(|pointer| pointer.starts_with('/') && !pointer.contains('%'));
        let Some(pointer) = pointer else {
            return Err(format!(
                "$ref is {:?}; expected a part of the same schema, as \"#/$defs/NAME\"",
                short(target)
            ));
        };
        self.root
            .pointer(pointer)
            .ok_or_else(|| format!("$ref is {:?}, and nothing is there", short(target)))
    }
}

/// One place where a section does not fit. Datasets' conditions show it to tenants, and a section may hold
/// what is not for them: of a text it is told only that it is one.
fn mistake(error: &ValidationError<'_>, schema: &Value, section: &Value) -> String {
    let path = error.instance_path().as_str();
    let at = format!("config{}", path.replace('/', "."));
    let keyword = error.schema_path().as_str();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            format!("{at}.{property} is missing, and the schema requires it")
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let of = keyword.rsplit_once('/').map_or("", |(of, _)| of);
            let known = schema
                .pointer(of)
                .and_then(|of| of["properties"].as_object());
            format!(
                "{at}: found {}; the schema knows {}",
                short(&unexpected.join(", ")),
                keys(known)
            )
        }
        // A schema that knows no key at all refuses the object without naming any.
        ValidationErrorKind::FalseSchema => match section.pointer(path) {
            Some(Value::Object(of)) if keyword.ends_with("/additionalProperties") => {
                format!("{at}: found {}; the schema knows no key", keys(Some(of)))
            }
            _ => format!(
                "{at}: found {}; the schema wants nothing there",
                found(error.instance())
            ),
        },
        kind => {
            let wanted = match schema.pointer(keyword) {
                Some(wanted) => format!("{} {}", kind.keyword(), short(&wanted.to_string())),
                None => kind.keyword().to_owned(),
            };
            format!(
                "{at}: found {}; the schema wants {wanted}",
                found(error.instance())
            )
        }
    }
}

/// Keys of an object, for a person.
fn keys(object: Option<&Map<String, Value>>) -> String {
    let keys = object.into_iter().flat_map(Map::keys);
    let keys: Vec<_> = keys.map(String::as_str).collect();
    if keys.is_empty() {
        return "no key".to_owned();
    }
    short(&keys.join(", "))
}

/// A value as it may be shown to anybody.
fn found(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// What somebody else wrote, as it may stand in a condition.
fn short(text: &str) -> String {
    shown::line(text, WANTED_BYTES_MAX)
}

#[cfg(test)]
mod tests;
