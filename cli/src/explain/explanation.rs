use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use dlf_core::condition::ConditionType;

use super::{
    bucket::{self, SameBucket},
    cache::{self, Cache},
    events::Events,
    facts::Facts,
    source,
    verdict::{self, Found, Verdict},
};
use crate::{cluster::Looked, datasets::View, text};

/// Why a Dataset is as it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) group: &'static str,
    #[serde(skip)]
    pub(super) age: String,
    pub(super) verdict: Verdict,
    pub(super) source: Vec<String>,
    pub(super) conditions: Vec<Found>,
    pub(super) cache: Cache,
    pub(super) users: Vec<String>,
    pub(super) claim: String,
    pub(super) volume: Option<String>,
    pub(super) same_bucket: Option<SameBucket>,
    pub(super) events: Events,
}

impl Explanation {
    pub(super) fn of(facts: &Facts, now: Timestamp) -> Self {
        let view = &facts.view;
        let age = view.created().map(|created| text::age(created, now));
        Self {
            name: view.name().to_owned(),
            namespace: view.namespace().to_owned(),
            group: view.group.name(),
            age: age.unwrap_or_default(),
            verdict: verdict::verdict(view),
            source: source::described(facts),
            conditions: verdict::conditions(view, now),
            cache: cache::cache(facts),
            users: users(view, now),
            claim: claim(facts),
            volume: volume(facts),
            same_bucket: bucket::same(facts),
            events: Events::of(facts, now),
        }
    }
}

fn users(view: &View, now: Timestamp) -> Vec<String> {
    if view.is_internal() {
        return vec!["not allowed to look: that stands in the Dataset, and you may see only its DatasetInternal".to_owned()];
    }
    let mut said = Vec::new();
    match view.condition(ConditionType::InUse) {
        Some(condition) => said.push(condition.message.clone()),
        None if view.status().is_some() => said.push("no pod has used it yet".to_owned()),
        None => said.push("nobody has looked yet".to_owned()),
    }
    let Some(usage) = view.status().and_then(|status| status.usage.as_ref()) else {
        return said;
    };
    if usage.nodes > 0 {
        said.push(format!(
            "mounted on {}",
            text::counted(usage.nodes.into(), "node")
        ));
    }
    if usage.bytes_read_from_cache > 0 {
        said.push(format!(
            "{} of what was read came from a cache",
            text::bytes(usage.bytes_read_from_cache)
        ));
    }
    let last: Option<Timestamp> = usage
        .last_used_time
        .as_ref()
        .and_then(|time| time.parse().ok());
    if let Some(last) = last {
        said.push(format!(
            "{} read and {} written so far, last used {} ago (counted every 10 minutes)",
            text::bytes(usage.bytes_read),
            text::bytes(usage.bytes_written),
            text::age(last, now)
        ));
    }
    said
}

fn claim(facts: &Facts) -> String {
    let name = facts.view.name();
    let state = match &facts.claim {
        Looked::Seen(Some(claim)) => {
            let phase = claim["status"]["phase"].as_str().unwrap_or("Pending");
            let size = claim["status"]["capacity"]["storage"].as_str();
            size.map_or_else(
                || phase.to_owned(),
                |size| format!("{phase}, shown as {size}"),
            )
        }
        Looked::Seen(None) => {
            "does not exist; the operator makes it once nothing stands in the way".to_owned()
        }
        other => other.reason().to_owned(),
    };
    format!("PersistentVolumeClaim {name}: {state}")
}

fn volume(facts: &Facts) -> Option<String> {
    let claim = facts.claim.seen()?.as_ref()?;
    let Some(name) = claim["spec"]["volumeName"].as_str() else {
        return Some("PersistentVolume: none yet, so the claim waits".to_owned());
    };
    let state = match &facts.volume {
        Looked::Seen(Some(volume)) => volume["status"]["phase"].as_str().unwrap_or("Pending"),
        Looked::Seen(None) => {
            "does not exist; `kubectl dlf doctor` says whether the operator works"
        }
        other => other.reason(),
    };
    Some(format!("PersistentVolume {name}: {state}"))
}
