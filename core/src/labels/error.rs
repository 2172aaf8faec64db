use thiserror::Error;

use super::USES_MAX;

/// What is wrong with the labels or annotations of a pod. Each names the key and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// X of `dataset.X.KEY` is no integer.
    #[error("{key}: the part after `dataset.` has to be an integer, as in dataset.0.id")]
    NotANumber {
        /// The key.
        key: String,
    },
    /// X is below zero.
    #[error("{key}: the number has to be 0 or more; use dataset.0.…")]
    Negative {
        /// The key.
        key: String,
    },
    /// X is above the largest that is counted.
    #[error("{key}: the number is too large; at most {max} is taken, and dataset.0.… will do", max = u32::MAX)]
    TooLarge {
        /// The key.
        key: String,
    },
    /// A word that no label takes.
    #[error("{key}: is not a label of ours; labels are dataset.N.id and dataset.N.useas{hint}")]
    UnknownLabel {
        /// The key.
        key: String,
        /// More to say when the word is right for an annotation.
        hint: &'static str,
    },
    /// A word that no annotation takes.
    #[error(
        "annotation {key}: is not one of ours; annotations are dataset.N.path, dataset.N.containers, \
         dataset.N.readonly and dataset.N.subpath{hint}"
    )]
    UnknownAnnotation {
        /// The key.
        key: String,
        /// More to say when the word is right for a label.
        hint: &'static str,
    },
    /// Two spellings of one number.
    #[error("{key}: says the same as {other}, for {index} is the number of both; keep one of them")]
    SaidTwice {
        /// The key.
        key: String,
        /// The other.
        other: String,
        /// The number.
        index: u32,
    },
    /// A `useas`, or an annotation, of no dataset.
    #[error(
        "{key}: there is no label dataset.{index}.id; add it with the Dataset's name, or remove {key}"
    )]
    NoId {
        /// The key.
        key: String,
        /// The number.
        index: u32,
    },
    /// An id that cannot be a Dataset's name.
    #[error(
        "{key}: found {found:?}; expected the name of a Dataset: at most 63 lower-case letters, digits and hyphens"
    )]
    InvalidId {
        /// The key.
        key: String,
        /// The value.
        found: String,
    },
    /// A mode that does not exist.
    #[error("{key}: found {found:?}; expected mount, configmap or both (mount.configmap)")]
    UnknownMode {
        /// The key.
        key: String,
        /// The value.
        found: String,
    },
    /// One dataset under two numbers.
    #[error(
        "{key}: dataset {id} is asked for by {other} already; remove one, and give one useas for both ways of use"
    )]
    SameDataset {
        /// The key.
        key: String,
        /// The other.
        other: String,
        /// The dataset.
        id: String,
    },
    /// Annotation `path` or `subpath` does not fit.
    #[error("annotation {key}: found {found:?}; {problem}")]
    Path {
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What is wrong with it.
        problem: PathProblem,
    },
    /// Annotation `containers` does not fit.
    #[error("annotation {key}: found {found:?}; expected names of containers, separated by commas")]
    Containers {
        /// The key.
        key: String,
        /// The value.
        found: String,
    },
    /// Annotation `readonly` does not fit.
    #[error("annotation {key}: found {found:?}; expected \"true\" or \"false\"")]
    Readonly {
        /// The key.
        key: String,
        /// The value.
        found: String,
    },
    /// More datasets than a pod may have.
    #[error("the pod asks for {found} datasets; at most {max} are taken", max = USES_MAX)]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathProblem {
    /// It does not start at the root.
    #[error("expected an absolute path, as /data/in")]
    NotAbsolute,
    /// It starts at the root.
    #[error("expected a path within the dataset, as train/images, without a leading slash")]
    NotRelative,
    /// It is the root.
    #[error("nothing can be mounted over a container's root; expected a path below it")]
    Root,
    /// It leaves, or does not say plainly, where it leads.
    #[error("it may have no empty part, `.` or `..`")]
    NotNormal,
    /// A character that a mount path may not have.
    #[error("it may have no colon and no control character")]
    Character,
    /// It is empty.
    #[error("it is empty; give a path or leave it out")]
    Empty,
    /// It is longer than a kernel takes.
    #[error("it is longer than {max} bytes", max = super::path::PATH_BYTES_MAX)]
    TooLong,
}
