//! Pods that use datasets: slim objects, and an index of who uses what and where.

mod index;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use dlf_core::names::LABEL_USES_DATASETS;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Client, Resource,
    api::Api,
    runtime::{reflector::store::Writer, watcher},
};
use serde::{Deserialize, Serialize};

pub use index::{DatasetKey, PodIndex, PodKey};

use crate::{
    waker::{Name, Waker},
    watches::{Change, follow, stored},
};

/// As much of a Pod as the operator looks at: a full one costs 41 KB, this one under 3 KB.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SlimPod {
    /// Name, namespace, labels, annotations.
    pub metadata: ObjectMeta,
    /// Where it is and what it mounts.
    #[serde(default)]
    pub spec: SlimPodSpec,
    /// Whether it has finished.
    #[serde(default)]
    pub status: SlimPodStatus,
}

/// Where a pod is and what it mounts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimPodSpec {
    /// Empty until it is scheduled.
    pub node_name: Option<String>,
    /// Its volumes.
    pub volumes: Vec<SlimVolume>,
}

/// A volume, if it is a claim.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimVolume {
    /// The claim.
    pub persistent_volume_claim: Option<SlimClaim>,
}

/// The claim of a volume.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimClaim {
    /// Its name.
    pub claim_name: String,
}

/// Whether a pod has finished.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct SlimPodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
}

impl Resource for SlimPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }
    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }
    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }
    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl SlimPod {
    /// Names of the claims it mounts.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.spec
            .volumes
            .iter()
            .filter_map(|volume| volume.persistent_volume_claim.as_ref())
            .map(|claim| claim.claim_name.as_str())
    }

    /// Whether it holds what it uses: neither finished nor on its way out.
    #[must_use]
    pub fn is_using(&self) -> bool {
        self.metadata.deletion_timestamp.is_none()
            && !matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// The datasets it uses, by label and by mounting a claim of that name; each with whether their
    /// address is in the environment of its containers.
    #[must_use]
    pub fn datasets(&self) -> BTreeMap<String, bool> {
        let empty = BTreeMap::new();
        let labels = self.metadata.labels.as_ref().unwrap_or(&empty);
        let annotations = self.metadata.annotations.as_ref().unwrap_or(&empty);
        let labelled = dlf_core::labels::parse(labels, annotations).unwrap_or_default();
        let labelled = labelled
            .into_iter()
            .map(|used| (used.id, used.mode.configures()));
        // Later ones win, and what a label says is more.
        self.claims()
            .map(|claim| (claim.to_owned(), false))
            .chain(labelled)
            .collect()
    }
}

/// Follows the pods that the webhook stamped, for ever: a store for who asks about one pod, the
/// index for who uses what, and a wake for each dataset whose users changed.
pub async fn watch(
    client: Client,
    writer: Writer<SlimPod>,
    index: Arc<PodIndex>,
    changes: Waker<Name>,
) {
    let config = watcher::Config::default().labels(&format!("{LABEL_USES_DATASETS}=true"));
    follow(stored(Api::all(client), config, writer), |change| {
        let woken = match change {
            Change::Applied(pod) => index.apply(&pod),
            Change::Deleted(pod) => index.delete(&pod),
            Change::Listed(listed) => index.keep_only(&listed),
        };
        for dataset in woken {
            changes.wake(&dataset);
        }
    })
    .await;
}
