//! The operator brings its own CRDs: Helm would install them once and never upgrade them.

use std::time::Duration;

use dlf_core::api::schema::definitions;
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
    /// One is there but not served.
    #[error("CustomResourceDefinition {name} is not served after {}s: {reason}", ESTABLISHED_DEADLINE.as_secs())]
    NotEstablished {
        /// Which.
        name: String,
        /// What its conditions say.
        reason: String,
    },
}

/// Installs or upgrades them all and waits until they are served. Changes nothing when they are as
/// they should be.
pub async fn install(client: Client) -> Result<(), CrdError> {
    let api = Api::<CustomResourceDefinition>::all(client);
    let definitions = definitions();
    for definition in &definitions {
        let name = definition.name_any();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(&name, &params, &Patch::Apply(definition)).await;
        applied.map_err(|source| CrdError::Apply { name, source })?;
    }
    let deadline = Instant::now() + ESTABLISHED_DEADLINE;
    for definition in &definitions {
        established(&api, &definition.name_any(), deadline).await?;
    }
    Ok(())
}

async fn established(
    api: &Api<CustomResourceDefinition>,
    name: &str,
    deadline: Instant,
) -> Result<(), CrdError> {
    loop {
        let found = api.get(name).await;
        let found = found.map_err(|source| CrdError::Apply {
            name: name.to_owned(),
            source,
        })?;
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

    /// For people who read or review them, and for tools that want them before the operator runs.
    #[test]
    fn the_definitions_are_committed_as_they_are_installed() {
        let directory = Path::new("../deploy/crds");
        for definition in definitions() {
            let file = directory.join(format!("{}.yaml", definition.name_any()));
            let fresh = format!(
                "# Written by `DLF_REGENERATE=1 cargo test -p dlf-operator crds`; the operator installs it itself.\n{}",
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
