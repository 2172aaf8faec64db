use dlf_core::{api::CacheMode, api::Phase, condition::ConditionType, names};
use serde::Serialize;
use serde_json::Value;

use super::facts::Facts;
use crate::{datasets::View, text};

/// A cache, or why there is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cache {
    /// Whether reads go to it now.
    pub(super) serves: bool,
    pub(super) plugin: Option<String>,
    pub(super) endpoint: Option<String>,
    /// Why it is so, the most telling reason first.
    pub(super) why: Vec<String>,
    /// What spec and labels say of it.
    pub(super) asked: Vec<String>,
    /// Its figures, by name.
    pub(super) figures: Vec<(String, String)>,
}

pub(super) fn cache(facts: &Facts) -> Cache {
    let view = &facts.view;
    let status = view.cache();
    let condition = view.condition(ConditionType::CacheReady);
    let caching = view.status().and_then(|status| status.caching.as_ref());
    let serves = condition.map_or_else(
        || caching.is_some_and(|phase| phase.status == Phase::OK),
        |condition| condition.status == "True",
    );
    let mut why: Vec<String> = Vec::new();
    if let Some(condition) = condition {
        why.push(format!("{}: {}", condition.reason, condition.message));
    }
    why.extend(decision(&status["decision"]));
    if let Some(info) = caching.map(|phase| phase.info.clone())
        && !info.is_empty()
        && !why.iter().any(|said| said.contains(&info))
    {
        why.push(info);
    }
    if why.is_empty() && !serves {
        why.push(without(view).to_owned());
    }
    Cache {
        serves,
        plugin: status["plugin"].as_str().map(ToOwned::to_owned),
        endpoint: endpoint(facts),
        why,
        asked: asked(view),
        figures: figures(status),
    }
}

/// Where the cache answers: said by its status, or where the effective source is another.
fn endpoint(facts: &Facts) -> Option<String> {
    if let Some(endpoint) = facts.view.cache()["endpoint"].as_str() {
        return Some(endpoint.to_owned());
    }
    let effective = facts.internal.as_ref()?.bucket()?.endpoint;
    let written = facts.view.bucket()?.endpoint;
    (effective != written).then_some(effective)
}

/// `action: reason (figures)` of a decision.
fn decision(decision: &Value) -> Option<String> {
    let fields = decision.as_object()?;
    let action = decision["action"].as_str().unwrap_or("decided");
    let reason = decision["reason"].as_str().unwrap_or("no reason given");
    let message = decision["message"].as_str();
    let message = message.map_or_else(String::new, |message| format!(", {message}"));
    let shown_elsewhere = ["action", "reason", "message"];
    let rest = fields
        .iter()
        .filter(|(key, _)| !shown_elsewhere.contains(&key.as_str()));
    let rest: Vec<String> = rest
        .map(|(key, value)| format!("{key} {}", shown(value)))
        .collect();
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(" ({})", rest.join(", "))
    };
    Some(format!("decision {action}: {reason}{message}{rest}"))
}

fn figures(status: &Value) -> Vec<(String, String)> {
    let shown_elsewhere = ["plugin", "decision", "endpoint"];
    let fields = status.as_object().into_iter().flatten();
    fields
        .filter(|(key, _)| !shown_elsewhere.contains(&key.as_str()))
        .map(|(key, value)| {
            let sized = ["capacity", "used"].contains(&key.as_str());
            let bytes = value.as_u64().filter(|_| sized).map(text::bytes);
            let value = match key.as_str() {
                "warmup" => warmup(value),
                _ => bytes.unwrap_or_else(|| shown(value)),
            };
            (key.clone(), value)
        })
        .collect()
}

/// How far loading is, and why it failed.
fn warmup(status: &Value) -> String {
    let said = |field: &str| status[field].as_str().unwrap_or_default();
    let objects = status["objects"].as_u64().unwrap_or_default();
    let (state, loaded, message) = (said("state"), said("loaded"), said("message"));
    let why = if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    };
    format!("{state}, {objects} objects, {loaded}{why}")
}

/// A value without the quotes that only programs need.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What spec and labels say of a cache.
fn asked(view: &View) -> Vec<String> {
    let mut said = Vec::new();
    let block = &view.object["spec"]["cache"];
    if let Some(fields) = block.as_object() {
        let fields = fields.iter();
        let fields = fields.map(|(key, value)| format!("{key}: {}", shown(value)));
        said.push(format!(
            "spec.cache says {}",
            fields.collect::<Vec<_>>().join(", ")
        ));
    }
    for (label, field) in [
        (names::LABEL_CACHE_DISABLE, "mode"),
        (names::LABEL_CACHE_PLUGIN, "plugin"),
    ] {
        let Some(value) = view.labels().remove(label) else {
            continue;
        };
        let over = if block[field].is_null() {
            ""
        } else {
            ", over which spec.cache goes"
        };
        said.push(format!("label {label} says {value}{over}"));
    }
    said
}

/// Why there is no cache, where nobody has said so.
fn without(view: &View) -> &'static str {
    let cache = view.dataset.spec.cache(&view.labels());
    let mode = cache.map(|cache| cache.mode);
    if mode == Some(Some(CacheMode::Off)) {
        return "it is switched off: mode Off, or the label cache.disable";
    }
    if view.kind() != "COS" {
        return "only buckets are cached, which this source is not";
    }
    match mode.flatten() {
        Some(CacheMode::Always) => {
            "it is asked for, and the operator has decided nothing: `kubectl dlf plugin list` shows whether it has a caching plugin"
        }
        Some(CacheMode::Advise) => "mode Advise deploys none, and nothing is advised yet",
        Some(CacheMode::Auto) => "mode Auto decides nothing yet; mode Always asks for one",
        Some(CacheMode::Off) => "it is switched off",
        None => "nothing asks for one; spec.cache: {mode: Always} does",
    }
}
