//! The operator brings its own CRDs: Helm would install them once and never upgrade them.
//! Where somebody else brings them, it waits for them.

use std::time::Duration;

use dlf_core::api::{ApiGroup, schema::definitions};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use thiserror::Error;
use tokio::time::{Instant, sleep};

const FIELD_MANAGER: &str = "dlf-operator";
/// The API server takes about a second to serve a new kind.
const ESTABLISHED_DEADLINE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(200);

/// Why the CRDs are not there.
#[derive(Debug, Error)]
pub enum CrdError {
    /// The API server refused one.
    #[error("CustomResourceDefinition {name}: {source}")]
    Apply {
        /// Which.
        name: String,
        /// What it said.
        source: kube::Error,
    },
    /// Somebody else was to bring one.
    #[error(
        "CustomResourceDefinition {0} is not there, and the chart's value `crds` says that the operator does not make it: \
         apply the chart's files/crds, or set `crds: operator`"
    )]
    Missing(String),
    /// One is there but not served.
    #[error("CustomResourceDefinition {name} is not served after {}s: {reason}", ESTABLISHED_DEADLINE.as_secs())]
    NotEstablished {
        /// Which.
        name: String,
        /// What its conditions say.
        reason: String,
    },
}

/// Installs or upgrades those of these groups and waits until they are served. Changes nothing when
/// they are as they should be.
pub async fn install(client: Client, groups: &[ApiGroup]) -> Result<(), CrdError> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in definitions_of(groups) {
        let name = definition.name_any();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(&name, &params, &Patch::Apply(&definition)).await;
        applied.map_err(|source| CrdError::Apply { name, source })?;
    }
    wait(client, groups).await
}

/// Waits until those of these groups are served; who brings them is somebody else's business.
pub async fn wait(client: Client, groups: &[ApiGroup]) -> Result<(), CrdError> {
    let api = Api::<CustomResourceDefinition>::all(client);
    let deadline = Instant::now() + ESTABLISHED_DEADLINE;
    for definition in definitions_of(groups) {
        established(&api, &definition.name_any(), deadline).await?;
    }
    Ok(())
}

fn definitions_of(groups: &[ApiGroup]) -> impl Iterator<Item = CustomResourceDefinition> {
    let is_served = |definition: &CustomResourceDefinition| {
        ApiGroup::parse(&definition.spec.group).is_some_and(|group| groups.contains(&group))
    };
    definitions().into_iter().filter(is_served)
}

async fn established(
    api: &Api<CustomResourceDefinition>,
    name: &str,
    deadline: Instant,
) -> Result<(), CrdError> {
    loop {
        let found = api.get_opt(name).await;
        let found = found.map_err(|source| CrdError::Apply {
            name: name.to_owned(),
            source,
        })?;
        let found = found.ok_or_else(|| CrdError::Missing(name.to_owned()))?;
        match state(&found) {
            Ok(()) => return Ok(()),
            Err(reason) if Instant::now() >= deadline => {
                return Err(CrdError::NotEstablished {
                    name: name.to_owned(),
                    reason,
                });
            }
            Err(_) => sleep(POLL).await,
        }
    }
}

/// Whether it is served, or why not.
fn state(definition: &CustomResourceDefinition) -> Result<(), String> {
    let status = definition.status.as_ref();
    let conditions = status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let is_true = |kind: &str| {
        conditions
            .iter()
            .any(|found| found.type_ == kind && found.status == "True")
    };
    if is_true("Established") && is_true("NamesAccepted") {
        return Ok(());
    }
    let refused = conditions.iter().find(|found| found.status != "True");
    Err(refused
        .and_then(|found| found.message.clone())
        .unwrap_or_else(|| "no condition yet".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    #[test]
    fn a_group_that_is_not_served_needs_no_definition() {
        let names = |groups: &[ApiGroup]| -> Vec<String> {
            definitions_of(groups)
                .map(|definition| definition.name_any())
                .collect()
        };
        assert_eq!(
            names(&[ApiGroup::Datashim]),
            ["datasets.datashim.io", "datasetsinternal.datashim.io"]
        );
        assert_eq!(names(&ApiGroup::ALL).len(), 4);
    }

    /// For people who read or review them, and for tools that want them before the operator runs.
    #[test]
    fn the_definitions_are_committed_as_they_are_installed() {
        let directory = Path::new("../deploy/chart/files/crds");
        for definition in definitions() {
            let file = directory.join(format!("{}.yaml", definition.name_any()));
            let fresh = format!(
                "# Written by `DLF_REGENERATE=1 cargo test -p dlf-operator crds`; by default the operator installs it.\n{}",
                serde_saphyr::to_string(&definition).unwrap()
            );
            if env::var_os("DLF_REGENERATE").is_some() {
                fs::create_dir_all(directory).unwrap();
                fs::write(&file, &fresh).unwrap();
            }
            let kept = fs::read_to_string(&file).unwrap_or_default();
            assert!(
                fresh == kept,
                "{} is stale; its first line says how it is written",
                file.display()
            );
        }
    }
}
