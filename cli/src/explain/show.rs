use std::fmt;

use super::{bucket::SameBucket, cache::Cache, explanation::Explanation};
use crate::text;

/// Under a heading, this far to the right.
const INDENT: usize = 2;
/// How wide the longest word of a condition is, with a gap: `Unknown`.
const WORD: usize = 9;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            namespace,
            group,
            age,
            verdict,
            ..
        } = self;
        writeln!(
            f,
            "Dataset {name} in namespace {namespace} ({group}), {age} old"
        )?;
        let word = if verdict.ready { "Ready" } else { "Not ready" };
        if verdict.reason == word {
            writeln!(f, "{word}: {}", verdict.message)?;
        } else {
            writeln!(f, "{word}: {}: {}", verdict.reason, verdict.message)?;
        }
        section(f, "Source", &self.source)?;
        section(f, "Conditions", self.conditions())?;
        section(f, self.cache.heading(), self.cache.lines())?;
        section(f, "Used by", &self.users)?;
        let claim = std::iter::once(&self.claim).chain(&self.volume);
        section(f, "Claim and volume", claim)?;
        if let Some(same) = &self.same_bucket {
            section(f, "Datasets of the same bucket", same.lines())?;
        }
        section(f, "Events", self.events.lines())
    }
}

impl Explanation {
    /// A line for each condition; a message that was said already is not said again.
    fn conditions(&self) -> Vec<String> {
        let mut said = vec![self.verdict.message.as_str()];
        said.extend(self.users.first().map(String::as_str));
        let mut lines = Vec::new();
        for condition in &self.conditions {
            lines.push(format!(
                "{:<WORD$}{:<16} {}, for {}",
                condition.status, condition.kind, condition.reason, condition.age
            ));
            if !said.contains(&condition.message.as_str()) {
                said.push(&condition.message);
                lines.push(text::indented(&condition.message, WORD));
            }
        }
        lines
    }
}

impl Cache {
    const fn heading(&self) -> &'static str {
        match (self.serves, &self.plugin) {
            (true, _) => "Cache: serves reads",
            (false, Some(_)) => "Cache: does not serve reads yet",
            (false, None) => "Cache: none",
        }
    }

    fn lines(&self) -> Vec<String> {
        let named = |name: &str, value: &Option<String>| {
            let value = value.as_ref()?;
            Some(format!("{name}: {value}"))
        };
        let mut lines = self.why.clone();
        lines.extend(self.asked.iter().cloned());
        lines.extend(named("plugin", &self.plugin));
        lines.extend(named("endpoint", &self.endpoint));
        let figures = self.figures.iter();
        lines.extend(figures.map(|(name, value)| format!("{name}: {value}")));
        lines
    }
}

impl SameBucket {
    fn lines(&self) -> Vec<String> {
        if let Some(why) = &self.unknown {
            return vec![why.clone()];
        }
        let mut lines: Vec<String> = self
            .datasets
            .iter()
            .map(|other| {
                let part = if other.prefix.is_empty() {
                    "all of it".to_owned()
                } else {
                    other.prefix.clone()
                };
                format!(
                    "{}/{} ({}), {part}",
                    other.namespace, other.name, other.group
                )
            })
            .collect();
        if lines.is_empty() {
            lines.push("none".to_owned());
        }
        if !self.all_namespaces {
            lines.push("only this namespace was looked at: you may not list all".to_owned());
        }
        lines
    }
}

fn section<T: AsRef<str>>(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    lines: impl IntoIterator<Item = T>,
) -> fmt::Result {
    writeln!(f, "\n{heading}")?;
    for line in lines {
        f.write_str(&text::indented(line.as_ref(), INDENT))?;
    }
    Ok(())
}
