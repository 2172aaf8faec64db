use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Secret};
use kube::api::ApiResource;

/// Kinds of core objects that a dataset makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OwnedKind {
    /// The claim pods mount.
    Claim,
    /// The volume bound to it.
    Volume,
    /// What `configmap` pods see.
    ConfigMap,
    /// The same with keys; and what the operator keeps for nodes.
    Secret,
}

impl OwnedKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Claim, Self::Volume, Self::ConfigMap, Self::Secret];

    /// Whether somebody's edit can make it differ from what was applied. Kubernetes' own
    /// controllers write claims and volumes all the time, and what matters in them is immutable.
    #[must_use]
    pub const fn can_drift(self) -> bool {
        matches!(self, Self::ConfigMap | Self::Secret)
    }

    /// Group, version, kind and plural.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Claim => ApiResource::erase::<PersistentVolumeClaim>(&()),
            Self::Volume => ApiResource::erase::<PersistentVolume>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::Secret => ApiResource::erase::<Secret>(&()),
        }
    }
}
