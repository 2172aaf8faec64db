use dlf_core::labels::{DatasetUse, PathProblem};
use thiserror::Error;

/// Why a pod is not admitted. Each names the label or the object and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Datasets that are not there.
    #[error(
        "namespace {namespace} has no Dataset {names}, which label {keys} asks for; create it first, or correct the label"
    )]
    NotFound {
        /// The namespace.
        namespace: String,
        /// The names.
        names: String,
        /// The labels.
        keys: String,
    },
    /// A Dataset on its way out.
    #[error(
        "label dataset.{index}.id: Dataset {id} is being deleted and takes no new pods; it goes when the pods that \
         use it have gone"
    )]
    Deleting {
        /// The label's number.
        index: u32,
        /// The Dataset.
        id: String,
    },
    /// A Dataset whose path slipped past its own admission.
    #[error("Dataset {id}: spec.mount.path: found {found:?}; {problem}")]
    DatasetPath {
        /// The Dataset.
        id: String,
        /// The path.
        found: String,
        /// What is wrong with it.
        problem: PathProblem,
    },
    /// An annotation names a container that the pod does not have.
    #[error(
        "annotation dataset.{index}.containers: the pod has no container {name}; it has {known}"
    )]
    NoContainer {
        /// The annotation's number.
        index: u32,
        /// The name.
        name: String,
        /// Those it has.
        known: String,
    },
    /// The volume's name is taken.
    #[error(
        "label dataset.{index}.id: the pod has a volume {id} that is not the claim {id}; rename that volume, or make it \
         persistentVolumeClaim.claimName: {id}"
    )]
    VolumeTaken {
        /// The label's number.
        index: u32,
        /// The Dataset, and the volume.
        id: String,
    },
    /// Something is mounted where the dataset is to go.
    #[error(
        "label dataset.{index}.id: container {container} has volume {volume} mounted at {path}, where Dataset {id} goes; \
         give one of them another path, this one with annotation dataset.{index}.path"
    )]
    PathTaken {
        /// The label's number.
        index: u32,
        /// The Dataset.
        id: String,
        /// The container.
        container: String,
        /// The other volume.
        volume: String,
        /// The path.
        path: String,
    },
    /// Files whose owners cannot be mapped to the pod's user namespace.
    #[error(
        "spec.hostUsers: found false, and label dataset.{index}.id mounts Dataset {id} of type {kind}, whose files the kernel \
         shows in no user namespace; leave hostUsers out, or have the address and keys with dataset.{index}.useas: configmap"
    )]
    UserNamespace {
        /// The label's number.
        index: u32,
        /// The Dataset.
        id: String,
        /// Where its data is.
        kind: &'static str,
    },
}

impl Refusal {
    /// Of everything that is missing at once.
    pub(super) fn not_found(missing: &[&DatasetUse], namespace: &str) -> Self {
        let ids: Vec<&str> = missing.iter().map(|used| used.id.as_str()).collect();
        let keys: Vec<String> = missing
            .iter()
            .map(|used| format!("dataset.{}.id", used.index))
            .collect();
        Self::NotFound {
            namespace: namespace.to_owned(),
            names: ids.join(", "),
            keys: keys.join(", "),
        }
    }
}
