//! Kubernetes events about a dataset, aggregated by the recorder.

mod recorder;
mod series;

use dlf_core::{
    api::{Dataset, DatasetStatus, Phase},
    condition::ConditionType,
};
use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Resource, runtime::events::EventType};
use tracing::warn;

pub use self::recorder::Recorder;
use self::recorder::Said;
pub(super) use self::recorder::of_pod;

use super::{
    Context,
    metrics::{Published, Written},
    status::{condition, is_passing},
};

/// The API server refuses a longer note.
const NOTE_BYTES_MAX: usize = 1024;

/// Says what a change of status means to the Dataset's user.
pub(super) async fn of_change(
    dataset: &Dataset,
    before: &DatasetStatus,
    after: &DatasetStatus,
    ctx: &Context,
) {
    let phase = |status: &DatasetStatus| status.provision.as_ref().map(|phase| phase.status);
    let (was, is) = (
        condition(before, ConditionType::Ready),
        condition(after, ConditionType::Ready),
    );
    let reason = |condition: Option<&Condition>| condition.map(|found| found.reason.clone());
    // One that is ready at once says that: two events would say no more.
    if phase(before).is_none() && phase(after) != Some(Phase::OK) {
        publish(
            dataset,
            EventType::Normal,
            "Created",
            "the Dataset was seen and is being worked on",
            ctx,
        )
        .await;
    }
    if let Some((type_, reason, note)) = of_cache(before, after) {
        publish(dataset, type_, reason, note, ctx).await;
    }
    let Some(is) = is else { return };
    let kind = ConditionType::Provisioned;
    let (was_made, made) = (condition(before, kind), condition(after, kind));
    let missing = made.filter(|made| made.status == "False" && is.status == "True");
    if let Some(made) = missing
        && reason(was_made).as_ref() != Some(&made.reason)
    {
        // Pods can mount it, and those that have it in their environment cannot start.
        publish(
            dataset,
            EventType::Warning,
            &made.reason,
            &made.message,
            ctx,
        )
        .await;
    }
    if reason(was).as_ref() == Some(&is.reason) {
        return;
    }
    match phase(after) {
        Some(Phase::OK) if is.status == "True" => {
            publish(dataset, EventType::Normal, "Provisioned", &is.message, ctx).await;
        }
        Some(Phase::Failed) => {
            publish(dataset, EventType::Warning, "Failed", &is.message, ctx).await;
        }
        _ if !is_passing(&is.reason) => {
            publish(dataset, EventType::Warning, &is.reason, &is.message, ctx).await;
        }
        _ => {}
    }
}

/// Says that pods could not write, which nobody has tried: what mounts lost has events of its own.
pub(super) async fn of_refusal(
    dataset: &Dataset,
    before: &DatasetStatus,
    after: &DatasetStatus,
    ctx: &Context,
) {
    let kind = ConditionType::WritesRefused;
    let reason = |found: &Condition| found.reason.clone();
    let (was, is) = (condition(before, kind), condition(after, kind));
    if let Some(is) = is.filter(|is| was.map(reason).as_ref() != Some(&is.reason)) {
        publish(dataset, EventType::Warning, kind.as_str(), &is.message, ctx).await;
    }
}

/// What a change of the cache means: type, reason and note of an event.
fn of_cache<'a>(
    before: &DatasetStatus,
    after: &'a DatasetStatus,
) -> Option<(EventType, &'a str, &'a str)> {
    let was = condition(before, ConditionType::CacheReady);
    let Some(is) = condition(after, ConditionType::CacheReady) else {
        // One that never came to be is not withdrawn.
        let withdrawn = before.cache.is_some() && was.is_some();
        let note = "the cache is withdrawn, and reads go to the source";
        return withdrawn.then_some((EventType::Normal, "CacheWithdrawn", note));
    };
    if was.is_some_and(|was| was.status == is.status && was.reason == is.reason) {
        return None;
    }
    let event = match (is.status.as_str(), is.reason.as_str()) {
        ("True", _) => (EventType::Normal, "CacheReady", is.message.as_str()),
        // What its source says stands in events of its own.
        (_, "SourceNotKnown" | "SourceNotReachable") => return None,
        (_, "Deploying") => (EventType::Normal, "CacheDeploying", is.message.as_str()),
        (_, reason) => (EventType::Warning, reason, is.message.as_str()),
    };
    Some(event)
}

/// Publishes one event of a Dataset; a lost one is not worth a retry.
pub(super) async fn publish(
    dataset: &Dataset,
    type_: EventType,
    reason: &str,
    note: &str,
    ctx: &Context,
) {
    publish_about(&dataset.object_ref(&ctx.group), type_, reason, note, ctx).await;
}

/// The same of any object.
pub(super) async fn publish_about(
    about: &ObjectReference,
    type_: EventType,
    reason: &str,
    note: &str,
    ctx: &Context,
) {
    let mut note = note.to_owned();
    note.truncate(note.floor_char_boundary(NOTE_BYTES_MAX));
    let kind = match type_ {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    };
    let said = Said {
        kind,
        reason,
        note: &note,
    };
    let outcome = match ctx.shared.recorder.publish(said, about).await {
        Ok(()) => Written::Written,
        Err(error) => {
            warn!(%error, reason, "an event was not published");
            Written::Lost
        }
    };
    let labels = Published {
        r#type: kind,
        outcome,
    };
    ctx.shared.metrics.events.get_or_create(&labels).inc();
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(cache: &Value, condition: Option<(&str, &str)>) -> DatasetStatus {
        let conditions = condition.into_iter().map(|(status, reason)| {
            json!({
                "type": "CacheReady", "status": status, "reason": reason, "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        });
        let conditions: Vec<Value> = conditions.collect();
        serde_json::from_value(json!({ "cache": cache, "conditions": conditions })).unwrap()
    }

    #[test]
    fn a_cache_is_told_of_when_it_comes_serves_fails_and_goes() {
        let (some, none) = (json!({ "plugin": "acme" }), Value::Null);
        let reason = |before: &DatasetStatus, after: &DatasetStatus| {
            of_cache(before, after).map(|(_, reason, _)| reason.to_owned())
        };
        let fresh = status(&none, None);
        let deploying = status(&some, Some(("False", "Deploying")));
        let ready = status(&some, Some(("True", "Ready")));
        let failing = status(&some, Some(("Unknown", "PluginCrashed")));
        let asking = status(&none, Some(("False", "SourceNotKnown")));
        let early = status(&none, Some(("False", "SourceNotReachable")));
        for (before, after, expected) in [
            (&fresh, &deploying, Some("CacheDeploying")),
            (&deploying, &ready, Some("CacheReady")),
            (&ready, &ready, None),
            (&ready, &failing, Some("PluginCrashed")),
            (&ready, &fresh, Some("CacheWithdrawn")),
            (&fresh, &fresh, None),
            (&fresh, &asking, None),
            (&asking, &early, None),
            (&early, &fresh, None),
        ] {
            assert_eq!(reason(before, after).as_deref(), expected);
        }
    }
}
