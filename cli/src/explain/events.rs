use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::facts::Facts;
use crate::{cluster::Looked, text};

/// Events beyond these are older news.
const EVENTS_MAX: usize = 10;

/// What happened to a Dataset lately, the newest first.
#[derive(Debug, Serialize)]
pub(super) struct Events {
    pub(super) items: Vec<Event>,
    /// Why there are none to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    message: String,
    count: u64,
    /// When it last happened.
    last: Option<String>,
    #[serde(skip)]
    age: String,
}

impl Events {
    pub(super) fn of(facts: &Facts, now: Timestamp) -> Self {
        let Looked::Seen(events) = &facts.events else {
            return Self {
                items: Vec::new(),
                unknown: Some(facts.events.reason().to_owned()),
            };
        };
        // Others are about an earlier Dataset of this name.
        let about = |event: &&Value| event["involvedObject"]["uid"] == facts.view.uid();
        let mut events: Vec<(Option<Timestamp>, &Value)> = events
            .iter()
            .filter(about)
            .map(|event| (last(event), event))
            .collect();
        events.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
        let events = events.into_iter().take(EVENTS_MAX);
        Self {
            items: events.map(|(last, event)| read(event, last, now)).collect(),
            unknown: None,
        }
    }

    /// A line each.
    pub(super) fn lines(&self) -> Vec<String> {
        if let Some(why) = &self.unknown {
            return vec![why.clone()];
        }
        if self.items.is_empty() {
            return vec!["none lately: the cluster forgets them after a while".to_owned()];
        }
        let line = |event: &Event| {
            let Event {
                kind,
                reason,
                message,
                count,
                age,
                ..
            } = event;
            let times = if *count > 1 {
                format!(" (x{count})")
            } else {
                String::new()
            };
            format!("{age:<5}{kind:<8} {reason}: {message}{times}")
        };
        self.items.iter().map(line).collect()
    }
}

fn read(event: &Value, last: Option<Timestamp>, now: Timestamp) -> Event {
    let said = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let series = event["series"]["count"].as_u64();
    Event {
        kind: said("type"),
        reason: said("reason"),
        message: said("message"),
        count: series.or_else(|| event["count"].as_u64()).unwrap_or(1),
        last: last.map(|last| last.to_string()),
        age: last.map_or_else(|| "?".to_owned(), |last| text::age(last, now)),
    }
}

/// When an event last happened: which field says so depends on who wrote it.
fn last(event: &Value) -> Option<Timestamp> {
    [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ]
    .into_iter()
    .find_map(|time| time.as_str()?.parse().ok())
}
