use dlf_core::{api::Dataset, source::Source};
use dlf_plugin_host::Config;
use kube::ResourceExt;

use super::dereference::Found;
use crate::controller::{error::Problem, gates, names::Identity};

/// What later steps may rely on: the raw spec's source is not looked at again.
pub(super) struct Valid {
    pub(super) source: Source,
}

pub(super) fn run(
    dataset: &Dataset,
    identity: &Identity,
    found: &Found,
    config: &Config,
) -> Result<Valid, Problem> {
    if found.elder.is_some() {
        return Err(Problem::failed(
            "NameTaken",
            format!(
                "{}/{} exists in API group {} too, and the younger of two makes nothing; delete one of them",
                identity.namespace,
                identity.name,
                identity.group.other()
            ),
        ));
    }
    let source = Source::parse(&dataset.spec, dataset.labels(), &identity.namespace)
        .map_err(|error| Problem::failed(error.reason(), error.to_string()))?;
    gates::check(config, &identity.namespace, &source)?;
    Ok(Valid { source })
}
