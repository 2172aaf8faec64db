use dlf_core::{
    api::{ApiGroup, Dataset},
    source::Source,
};
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
    if let Some(rival) = &found.rival
        && !is_older(dataset, identity.group, rival)
    {
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

/// Of two Datasets of one name the older makes things; of the same second, the original's group.
fn is_older(dataset: &Dataset, group: ApiGroup, rival: &Dataset) -> bool {
    let age = |dataset: &Dataset, group| (dataset.creation_timestamp().map(|time| time.0), group);
    age(dataset, group) < age(rival, group.other())
}
