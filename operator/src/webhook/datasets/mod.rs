//! What the webhook knows of Datasets: a few facts of each, of both groups, fed by watch events and
//! asked by namespace and name. On a miss the API server is asked once.

mod index;
mod lookup;
mod watch;

use dlf_core::{
    api::Dataset,
    source::{Source, SourceType},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use index::Index;
pub use lookup::{Known, Lookup, Unanswered};
pub use watch::watch;

/// What admission has to know of a Dataset; a hundred bytes where the object has thousands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Its source's type; none while its spec cannot be understood.
    pub kind: Option<SourceType>,
    /// Whether its source may not be written.
    pub readonly: bool,
    /// Whether the Secret of its keys, which is the user's, has its name.
    pub has_keys_of_its_name: bool,
    /// `spec.mount.path`.
    pub mount_path: Option<String>,
    /// When it was made; the elder of two of one name counts.
    pub created: Option<Time>,
    /// Whether it is on its way out.
    pub deleting: bool,
}

impl Facts {
    /// Of a Dataset.
    #[must_use]
    pub fn of(dataset: &Dataset) -> Self {
        let metadata = &dataset.metadata;
        let labels = metadata.labels.clone().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let source = Source::parse(&dataset.spec, &labels, namespace).ok();
        Self {
            kind: source.as_ref().map(Source::kind),
            readonly: source.as_ref().is_some_and(Source::readonly),
            has_keys_of_its_name: source.as_ref().and_then(Source::key_secret)
                == metadata.name.as_deref(),
            mount_path: dataset
                .spec
                .mount
                .as_ref()
                .and_then(|mount| mount.path.clone()),
            created: metadata.creation_timestamp.clone(),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }
}
