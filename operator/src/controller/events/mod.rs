//! Kubernetes events about a dataset, aggregated by the recorder.

mod recorder;
mod series;

use dlf_core::{
    api::{Dataset, DatasetStatus, Phase},
    condition::ConditionType,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, runtime::events::EventType};
use tracing::warn;

pub(super) use self::recorder::Recorder;
use self::recorder::Said;

use super::{
    Context,
    metrics::{Published, Written},
    status::is_passing,
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
    let ready = |status: &DatasetStatus| -> Option<Condition> {
        status
            .conditions
            .iter()
            .find(|found| found.type_ == ConditionType::Ready.as_str())
            .cloned()
    };
    let (was, is) = (ready(before), ready(after));
    let reason =
        |condition: &Option<Condition>| condition.as_ref().map(|found| found.reason.clone());
    if phase(before).is_none() {
        publish(
            dataset,
            EventType::Normal,
            "Created",
            "the Dataset was seen and is being worked on",
            ctx,
        )
        .await;
    }
    let Some(is) = is else { return };
    if reason(&was).as_ref() == Some(&is.reason) {
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

/// Publishes one event; a lost one is not worth a retry.
pub(super) async fn publish(
    dataset: &Dataset,
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
    let about = dataset.object_ref(&ctx.group);
    let outcome = match ctx.shared.recorder.publish(said, &about).await {
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
