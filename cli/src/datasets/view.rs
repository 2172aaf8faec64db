use std::collections::BTreeMap;

use dlf_core::{
    api::{ApiGroup, Dataset, DatasetInternal, DatasetStatus, Phase},
    condition::ConditionType,
    names::LABEL_DATASET_UID,
    source::{ObjectStoreSource, Source},
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde_json::Value;

use crate::text::NOTHING;

/// A Dataset, or the DatasetInternal that says the same, as it was answered.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) group: ApiGroup,
    pub(crate) dataset: Dataset,
    /// The whole object, without what no reader asks for.
    pub(crate) object: Value,
}

impl View {
    /// Reads an object; none where it is not one of ours.
    pub(crate) fn read(mut object: Value) -> Option<Self> {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let group = ApiGroup::parse(object["apiVersion"].as_str()?)?;
        let dataset = serde_json::from_value(object.clone()).ok()?;
        Some(Self {
            group,
            dataset,
            object,
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.dataset.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        let namespace = self.dataset.metadata.namespace.as_deref();
        namespace.unwrap_or_default()
    }

    /// Whether it is only the DatasetInternal, for a user who may see nothing else.
    pub(crate) fn is_internal(&self) -> bool {
        self.object["kind"] == DatasetInternal::KIND
    }

    /// The Dataset's uid, whichever of the two this is.
    pub(crate) fn uid(&self) -> &str {
        let metadata = &self.object["metadata"];
        let label = metadata["labels"][LABEL_DATASET_UID].as_str();
        let label = label.filter(|_| self.is_internal());
        label.or(metadata["uid"].as_str()).unwrap_or_default()
    }

    pub(crate) fn key(&self) -> (String, String, ApiGroup) {
        (
            self.namespace().to_owned(),
            self.name().to_owned(),
            self.group,
        )
    }

    pub(crate) fn created(&self) -> Option<Timestamp> {
        let created = self.dataset.metadata.creation_timestamp.as_ref();
        created.map(|time| time.0)
    }

    pub(crate) fn is_going(&self) -> bool {
        self.dataset.metadata.deletion_timestamp.is_some()
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.dataset.metadata.labels.clone().unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Option<&DatasetStatus> {
        self.dataset.status.as_ref()
    }

    /// `status.cache`, which is there once somebody has decided on a cache.
    pub(crate) fn cache(&self) -> &Value {
        &self.object["status"]["cache"]
    }

    pub(crate) fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        let conditions = &self.status()?.conditions;
        conditions.iter().find(|found| found.type_ == kind.as_str())
    }

    /// What the spec says of its source, if it can be read.
    pub(crate) fn source(&self) -> Option<Source> {
        Source::parse(&self.dataset.spec, &self.labels(), self.namespace()).ok()
    }

    /// The same, where it is a bucket.
    pub(crate) fn bucket(&self) -> Option<ObjectStoreSource> {
        match self.source()? {
            Source::ObjectStore(bucket) => Some(bucket),
            Source::Nfs(_) | Source::HostPath(_) => None,
        }
    }

    /// The type's word, as the user wrote it.
    pub(crate) fn kind(&self) -> &str {
        let spec = &self.dataset.spec;
        let mut maps = [&spec.local, &spec.remote].into_iter().flatten();
        let word = maps.find_map(|map| map.get("type"));
        word.or(spec.kind.as_ref()).map_or(NOTHING, String::as_str)
    }

    /// Where the data is, for a person.
    pub(crate) fn address(&self) -> String {
        let written = self.status().and_then(|status| status.source.clone());
        let written = written.or_else(|| self.source().map(|source| source.address()));
        written.unwrap_or_else(|| NOTHING.to_owned())
    }

    /// Where its claim stands.
    pub(crate) fn phase(&self) -> &'static str {
        if self.is_going() {
            return "Deleting";
        }
        let provision = self.status().and_then(|status| status.provision.as_ref());
        word(provision.map(|phase| phase.status))
    }

    /// Where its cache stands, and whose it is.
    pub(crate) fn cached(&self) -> String {
        let Some(phase) = self.status().and_then(|status| status.caching.as_ref()) else {
            return NOTHING.to_owned();
        };
        let word = word(Some(phase.status));
        match self.cache()["plugin"].as_str() {
            Some(plugin) => format!("{word} ({plugin})"),
            None => word.to_owned(),
        }
    }
}

/// The original's word of a phase; of one that nobody has written yet, its first.
fn word(phase: Option<Phase>) -> &'static str {
    match phase.unwrap_or_default() {
        Phase::Initializing => "Initializing",
        Phase::Pending => "Pending",
        Phase::OK => "OK",
        Phase::Disabled => "Disabled",
        Phase::Failed => "Failed",
    }
}
