//! Names that more than one room has to agree on.

/// Name of the CSI driver, of its socket directory and of the `CSIDriver` object.
pub const DRIVER: &str = "csi.dlf.dev";

/// Finalizer of a Dataset: everything it made goes before it does.
pub const FINALIZER: &str = "dlf.dev/dataset";

/// Label of everything a Dataset made: its uid.
pub const LABEL_DATASET_UID: &str = "dlf.dev/dataset-uid";
/// Label of everything a Dataset made: its namespace.
pub const LABEL_DATASET_NAMESPACE: &str = "dlf.dev/dataset-namespace";
/// Label of everything a Dataset made: its name.
pub const LABEL_DATASET_NAME: &str = "dlf.dev/dataset-name";
/// Label of the claim `NAME`, as the original has it: its value is `NAME`.
pub const LABEL_DATASET: &str = "dataset";
/// Label of a cache's pods: the cache's name.
pub const LABEL_CACHE: &str = "dlf.dev/cache";
/// Label of what a plugin planned: its name.
pub const LABEL_PLUGIN: &str = "dlf.dev/plugin";
/// Annotation of a `DatasetInternal` whose endpoint is a cache's: that endpoint.
pub const ANNOTATION_CACHE: &str = "dlf.dev/cache";
/// Annotation of such a `DatasetInternal` where the endpoint is not all there is to say: where the cache
/// answers, as its plan has it.
pub const ANNOTATION_CACHE_ORIGINS: &str = "dlf.dev/cache-origins";
/// Label the webhook stamps on a pod that uses datasets; the operator watches only these.
pub const LABEL_USES_DATASETS: &str = "dlf.dev/uses-datasets";
/// Annotation the webhook leaves on a pod: names of the volumes that it added, not the user.
pub const ANNOTATION_VOLUMES: &str = "dlf.dev/volumes";

/// Label of a Dataset: empty and delete its bucket with it, if `provision` made the bucket.
pub const LABEL_REMOVE_ON_DELETE: &str = "remove-on-delete";
/// Label of a Dataset: `"true"` means `cache.mode: Off`.
pub const LABEL_CACHE_DISABLE: &str = "cache.disable";
/// Label of a Dataset: the caching plugin's name.
pub const LABEL_CACHE_PLUGIN: &str = "cache.plugin";

/// Label of a namespace: `disabled` switches the admission of pods off.
pub const LABEL_MONITOR_NAMESPACE: &str = "monitor-pods-datasets";

/// Audience of the tokens that node drivers and workers show the operator.
pub const TOKEN_AUDIENCE: &str = "dlf-operator";

/// Where a dataset is mounted when neither the Dataset nor the pod says otherwise.
pub const MOUNT_ROOT: &str = "/mnt/datasets";

/// Under this name the operator owns the fields of what a plugin planned.
#[must_use]
pub fn field_manager(plugin: &str) -> String {
    format!("dlf-plugin-{plugin}")
}

/// `dlf-<uid>`: name of the PersistentVolume, handle of the volume and name of the Secret in the
/// operator's namespace, all of which have to be unique in the cluster.
#[must_use]
pub fn volume_handle(dataset_uid: &str) -> String {
    format!("dlf-{dataset_uid}")
}
