//! Datasets of both API groups.

mod close;
mod view;

use std::{collections::BTreeSet, error::Error};

use dlf_core::api::ApiGroup;
use kube::core::params::ListParams;

use self::close::close;
pub(crate) use self::view::View;
use crate::cluster::{Cluster, Kind, RequestError};

/// Where a Dataset's name is looked for, in messages.
const GROUPS: &str = "com.ie.ibm.hpsys and datashim.io";

/// Datasets of a namespace, or of all, by namespace and name; with `name`, those of that name.
///
/// Who may not see Datasets, which may hold keys, may still see DatasetInternals, which say the
/// same: role `view` is made so.
pub(crate) async fn list(
    cluster: &Cluster,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<View>, RequestError> {
    let mut found = Vec::new();
    let mut served = false;
    for group in ApiGroup::ALL {
        let items = match of_kind(cluster, Kind::dataset(group), namespace, name).await {
            Err(refused) if refused.is_forbidden() => {
                let internals = Kind::internal(group);
                match of_kind(cluster, internals, namespace, name).await {
                    Err(error) if error.is_forbidden() => return Err(refused),
                    other => other,
                }
            }
            other => other,
        };
        match items {
            Err(RequestError::NotFound) => {}
            other => {
                served = true;
                found.extend(other?);
            }
        }
    }
    if !served {
        return Err(RequestError::Garbled(format!(
            "this cluster has no Datasets: {GROUPS} are not served; install DLF, or choose another --context"
        )));
    }
    found.sort_by_key(View::key);
    Ok(found)
}

async fn of_kind(
    cluster: &Cluster,
    kind: Kind,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<View>, RequestError> {
    let mut params = ListParams::default();
    if let Some(name) = name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    let items = cluster.list(kind, namespace, params).await?;
    Ok(items.into_iter().filter_map(View::read).collect())
}

/// What to say where no Dataset has this name.
pub(crate) async fn missing(cluster: &Cluster, namespace: &str, name: &str) -> Box<dyn Error> {
    let mut said = format!("there is no Dataset {name} in namespace {namespace}");
    let elsewhere = list(cluster, None, Some(name)).await.unwrap_or_default();
    let spaces: BTreeSet<&str> = elsewhere.iter().map(View::namespace).collect();
    if let Some(first) = spaces.first() {
        let spaces: Vec<&str> = spaces.iter().copied().collect();
        said += &format!("; one of this name is in {}: -n {first}", spaces.join(", "));
        return said.into();
    }
    let here = list(cluster, Some(namespace), None).await;
    let here = here.unwrap_or_default();
    let names: BTreeSet<&str> = here.iter().map(View::name).collect();
    let near = close(name, &names);
    if !near.is_empty() {
        said += &format!("; did you mean {}?", near.join(" or "));
    } else if names.is_empty() {
        said +=
            ", which has none at all; choose another with -n, or see all with `kubectl dlf get -A`";
    } else {
        said += "; `kubectl dlf get` shows those there are";
    }
    said.into()
}
