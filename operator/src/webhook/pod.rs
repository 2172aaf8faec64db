//! A pod as the webhook reads it: what decorating needs and nothing else. The rest of the object
//! is skipped by the parser, so a request costs little however large its pod is.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Labels and annotations.
    pub metadata: Metadata,
    /// Volumes and containers.
    pub spec: PodSpec,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Labels, if there are any.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations, if there are any.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Volumes and containers. `None` is a list that is absent, which a patch has to make.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Volumes.
    pub volumes: Option<Vec<Volume>>,
    /// Init containers and sidecars.
    pub init_containers: Option<Vec<Container>>,
    /// App containers.
    pub containers: Option<Vec<Container>>,
    /// `false`: it has a user namespace of its own.
    pub host_users: Option<bool>,
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The claim, if it is one.
    pub persistent_volume_claim: Option<Claim>,
}

/// The claim of a volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claim {
    /// Its name.
    pub claim_name: String,
}

/// A container of any sort.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What it mounts.
    pub volume_mounts: Option<Vec<VolumeMount>>,
    /// Where its environment comes from.
    pub env_from: Option<Vec<EnvFrom>>,
    /// Its environment.
    pub env: Option<Vec<EnvVar>>,
}

/// A mount in a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// The volume's name.
    pub name: String,
    /// Where it is mounted.
    pub mount_path: String,
    /// How mounts made later on the node are seen.
    pub mount_propagation: Option<String>,
}

/// A whole ConfigMap or Secret as environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// The ConfigMap, if it is one.
    pub config_map_ref: Option<Reference>,
    /// The Secret, if it is one.
    pub secret_ref: Option<Reference>,
}

/// A reference by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// The name.
    pub name: String,
}

/// A variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
}

impl Pod {
    /// Its containers of every sort, init containers first, each with its path in the object.
    pub fn containers(&self) -> impl Iterator<Item = (String, &Container)> {
        let lists = [
            ("initContainers", &self.spec.init_containers),
            ("containers", &self.spec.containers),
        ];
        lists.into_iter().flat_map(|(list, containers)| {
            let containers = containers.iter().flatten().enumerate();
            containers.map(move |(index, container)| (format!("/spec/{list}/{index}"), container))
        })
    }

    /// Its volumes.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.spec.volumes.iter().flatten()
    }
}

impl Volume {
    /// Whether it is this claim.
    #[must_use]
    pub fn is_claim(&self, name: &str) -> bool {
        self.persistent_volume_claim
            .as_ref()
            .is_some_and(|claim| claim.claim_name == name)
    }
}

impl EnvFrom {
    /// Whether it is the ConfigMap or the Secret of this name.
    #[must_use]
    pub fn is_of(&self, name: &str) -> bool {
        [&self.config_map_ref, &self.secret_ref]
            .into_iter()
            .flatten()
            .any(|found| found.name == name)
    }
}
