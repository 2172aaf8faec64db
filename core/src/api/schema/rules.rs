//! Rules in CEL, each with a message that names what was found and what was expected.

use serde_json::{Value, json};

/// A rule whose message is itself an expression.
fn rule(rule: impl Into<String>, message: impl Into<String>) -> Value {
    json!({ "rule": rule.into(), "messageExpression": message.into() })
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// Pods name a Dataset in a label, so its name has to fit into one.
pub(super) fn dns_label() -> Value {
    rule(
        "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
        "\"metadata.name: found '\" + self.metadata.name + \"'; expected a DNS label: at most 63 \
         characters and no dots, since pods name it in a label\"",
    )
}

/// Exactly one way to say where the data is.
pub(super) fn one_source() -> Value {
    json!({
        "rule": "has(self.type) ? !has(self.remote) && has(self.local) : has(self.local) != has(self.remote)",
        "message": "give exactly one of spec.local, spec.remote, or spec.type ARCHIVE with spec.local as its target",
    })
}

/// `self[key]` is one of these words.
pub(super) fn one_of(path: &str, key: &str, words: &[&str]) -> Value {
    rule(
        format!("!('{key}' in self) || self['{key}'] in {}", list(words)),
        format!(
            "\"{path}.{key}: found '\" + self['{key}'] + \"'; expected one of {}\"",
            words.join(", ")
        ),
    )
}

/// Every map names its type.
pub(super) fn typed(path: &str, words: &[&str]) -> Value {
    json!({
        "rule": "'type' in self",
        "message": format!("{path}.type is missing; expected one of {}", words.join(", ")),
    })
}

/// A source of `kind` has this key, not empty.
pub(super) fn required(path: &str, kind: &str, key: &str, expected: &str) -> Value {
    json!({
        "rule": format!("!('type' in self) || self['type'] != '{kind}' || ('{key}' in self && self['{key}'] != '')"),
        "message": format!("{path}.{key} is missing; type {kind} needs {expected}"),
    })
}

/// A source of `kind` has no key but these.
pub(super) fn only(path: &str, kind: &str, keys: &[&str]) -> Value {
    let known = format!("k == 'type' || k in {}", list(keys));
    rule(
        format!("!('type' in self) || self['type'] != '{kind}' || self.all(k, {known})"),
        format!(
            "\"{path}: found the key '\" + self.filter(k, !({known}))[0] + \"'; type {kind} takes {}\"",
            keys.join(", ")
        ),
    )
}

/// From 1 to 65535, zeros before it not counted.
const PORT: &str =
    "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// An endpoint is an http or https URL.
pub(super) fn http_url(path: &str, key: &str) -> Value {
    rule(
        format!(
            "!('{key}' in self) || self['{key}'] == '' || self['{key}'].matches('^https?://([^/?#@:]+|\\\\[[^/?#@]+\\\\])(:{PORT})?/?$')"
        ),
        format!(
            "\"{path}.{key}: found '\" + self['{key}'] + \"'; expected an http or https URL of host and \
             port alone, with a port from 1 to 65535 or none\""
        ),
    )
}

/// A path is absolute and not the root: a node's whole disk is no dataset.
pub(super) fn below_root(path: &str, key: &str) -> Value {
    rule(
        format!("!('{key}' in self) || self['{key}'] == '' || self['{key}'].matches('^/[^/]')"),
        format!(
            "\"{path}.{key}: found '\" + self['{key}'] + \"'; expected the absolute path of a directory below /\""
        ),
    )
}
