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
/// Who may not see a Dataset, which may hold keys, may still see its DatasetInternal, which says the
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
    let elsewhere = list(cluster, None, Some(name)).await.unwrap_or_default();
    let spaces: BTreeSet<&str> = elsewhere.iter().map(View::namespace).collect();
    let here = list(cluster, Some(namespace), None).await;
    let here = here.unwrap_or_default();
    let names: BTreeSet<&str> = here.iter().map(View::name).collect();
    let hint = hint(name, &names, &spaces);
    format!("there is no Dataset {name} in namespace {namespace}; {hint}").into()
}

/// What to do about a name that is not there, given the names that are, and the namespaces in which
/// it is.
fn hint(name: &str, names: &BTreeSet<&str>, spaces: &BTreeSet<&str>) -> String {
    if let Some(first) = spaces.first() {
        let spaces: Vec<&str> = spaces.iter().copied().collect();
        return format!("one of this name is in {}: -n {first}", spaces.join(", "));
    }
    let near = close(name, names);
    if !near.is_empty() {
        format!("did you mean {}?", near.join(" or "))
    } else if names.is_empty() {
        "it has none at all: choose another with -n, or see all with `kubectl dlf get -A`"
            .to_owned()
    } else {
        "`kubectl dlf get` shows those there are".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_leads_to_those_that_are() {
        let names = BTreeSet::from(["books", "photos"]);
        let none = BTreeSet::new();
        let spaces = BTreeSet::from(["a", "b"]);
        assert_eq!(
            hint("x", &names, &spaces),
            "one of this name is in a, b: -n a"
        );
        assert_eq!(hint("bokks", &names, &none), "did you mean books?");
        assert!(hint("weather", &names, &none).contains("dlf get"));
        assert!(hint("weather", &none, &none).contains("get -A"));
    }
}
