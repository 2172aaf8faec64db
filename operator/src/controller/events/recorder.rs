//! Writes events. One that comes again soon is counted in the first one's series, as
//! `kubectl describe` shows it: `x3 over 2m`.

use async_trait::async_trait;
use dlf_wire::nodes::v1::PodRef;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Client,
    api::{Api, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tracing::warn;

use super::series::{Key, Known};
use crate::nodes::TellPod;

const CONTROLLER: &str = "dlf-operator";

/// What an event says, besides about whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    /// `Normal` or `Warning`.
    pub(super) kind: &'static str,
    /// A class in CamelCase.
    pub(super) reason: &'a str,
    /// A sentence for a person.
    pub(super) note: &'a str,
}

/// Writes events. kube's own keeps each whole event for six minutes and looks at all of them for each
/// new one: with ten thousand Datasets an hour that is a tenth of the operator's memory.
pub struct Recorder {
    client: Client,
    instance: String,
    known: Known,
}

impl Recorder {
    /// Writes in the name of this replica.
    #[must_use]
    pub fn new(client: Client, instance: Option<String>) -> Self {
        Self {
            client,
            instance: instance.unwrap_or_else(|| CONTROLLER.to_owned()),
            known: Known::default(),
        }
    }

    /// Writes an event about an object, or counts it in the last one of its kind.
    ///
    /// # Errors
    /// What the API server answered.
    pub(super) async fn publish(
        &self,
        said: Said<'_>,
        about: &ObjectReference,
    ) -> Result<(), kube::Error> {
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let key = Key::of(about, said.reason, said.note);
        if let Some((name, count)) = self.known.again(&key) {
            let series = EventSeries {
                count,
                last_observed_time: MicroTime(Timestamp::now()),
            };
            let patch = json!({ "series": series });
            match api
                .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await
            {
                // It has outlived what the API server keeps.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        let event = self.event(said, about);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.known.first(key, name);
        Ok(())
    }

    fn event(&self, said: Said<'_>, about: &ObjectReference) -> Event {
        let now = Timestamp::now();
        let object = about.name.as_deref().unwrap_or(CONTROLLER);
        Event {
            metadata: ObjectMeta {
                namespace: about.namespace.clone(),
                name: Some(format!("{object}.{:x}", now.as_nanosecond())),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            reason: Some(said.reason.to_owned()),
            note: Some(said.note.to_owned()),
            type_: Some(said.kind.to_owned()),
            event_time: Some(MicroTime(now)),
            regarding: Some(about.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

/// A pod, for events about it.
pub(in crate::controller) fn of_pod(pod: &PodRef) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.clone()),
        name: Some(pod.name.clone()),
        uid: Some(pod.uid.clone()),
        ..ObjectReference::default()
    }
}

#[async_trait]
impl TellPod for Recorder {
    async fn subpath_made(&self, pod: &PodRef, note: &str) {
        let said = Said {
            kind: "Normal",
            reason: "SubpathMade",
            note,
        };
        if let Err(error) = self.publish(said, &of_pod(pod)).await {
            warn!(%error, "a pod is not told that its subpath was made");
        }
    }
}
