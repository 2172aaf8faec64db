//! The CustomResourceDefinitions: schema, rules with messages, columns.
//!
//! Written as JSON and not derived, because the rules and their messages are the user's contract
//! and are to be read as they will be seen. A test proves that [`crate::api`]'s types fit it.

#[cfg(test)]
mod fits;
mod rules;
mod spec;
mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::{ApiGroup, Dataset, DatasetInternal, group::VERSION};

/// All four definitions: both kinds in both groups.
///
/// # Panics
/// Never: a test builds them all.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    ApiGroup::ALL
        .into_iter()
        .flat_map(|group| [dataset(group), internal(group)])
        .filter_map(|definition| serde_json::from_value(definition).ok())
        .collect()
}

fn dataset(group: ApiGroup) -> Value {
    definition(group, Dataset::KIND, Dataset::PLURAL, "dataset", "dset")
}

fn internal(group: ApiGroup) -> Value {
    definition(
        group,
        DatasetInternal::KIND,
        DatasetInternal::PLURAL,
        "datasetinternal",
        "dseti",
    )
}

fn definition(group: ApiGroup, kind: &str, plural: &str, singular: &str, short: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group.name(),
            "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                "singular": singular, "shortNames": [short], "categories": ["dlf"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns(),
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": { "spec": spec::schema(), "status": status::schema() },
                    "x-kubernetes-validations": [rules::dns_label()],
                }},
            }],
        },
    })
}

fn columns() -> Value {
    json!([
        { "name": "Type", "type": "string", "jsonPath": ".spec.local.type" },
        { "name": "Source", "type": "string", "jsonPath": ".status.source" },
        { "name": "Status", "type": "string", "jsonPath": ".status.provision.status" },
        { "name": "Cache", "type": "string", "jsonPath": ".status.caching.status" },
        { "name": "Used By", "type": "integer", "jsonPath": ".status.usage.consumers" },
        { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_four_definitions() {
        let names: Vec<_> = definitions()
            .into_iter()
            .filter_map(|crd| crd.metadata.name)
            .collect();
        assert_eq!(
            names,
            [
                "datasets.com.ie.ibm.hpsys",
                "datasetsinternal.com.ie.ibm.hpsys",
                "datasets.datashim.io",
                "datasetsinternal.datashim.io",
            ]
        );
    }
}
