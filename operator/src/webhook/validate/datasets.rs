//! `/validate/datasets`: names, sources and paths that fit, and one Dataset of a name.

use std::collections::BTreeMap;

use dlf_core::{
    api::{ApiGroup, Dataset, is_positive_quantity},
    labels::{check_mount_path, is_dns_label},
    source::{KeySource, Source},
};

use dlf_plugin_host::Config;

use super::inert;
use crate::controller::gates;
use crate::webhook::{
    Webhook,
    problem::Problem,
    review::{Operation, Request, Verdict},
};

const INLINE_KEYS_WARNING: &str = "spec.local.accessKeyID and secretAccessKey: keys in a Dataset are seen by all who may \
     read it; put them into a Secret and name it in spec.local.secret-name";

/// Decides on a Dataset.
pub(in crate::webhook) async fn datasets(
    webhook: &Webhook,
    request: Request<Dataset>,
) -> Result<Verdict, Problem> {
    let Some(new) = &request.object else {
        return Ok(Verdict::admit());
    };
    if new.metadata.deletion_timestamp.is_some() || is_untouched(request.old_object.as_ref(), new) {
        return Ok(Verdict::admit());
    }
    if request.operation == Operation::Create
        && let Some(refusal) = twin(webhook, &request.namespace, new).await
    {
        return Ok(Verdict::refuse(refusal));
    }
    let plugins = webhook.plugins.borrow();
    let old = request.old_object.as_ref();
    Ok(check(
        new,
        &request.namespace,
        is_gated(old, new).then(|| plugins.config()),
    ))
}

/// Whether gates are asked. One that closed on a spec that was there before holds up no change of
/// labels: the Dataset's condition names it.
fn is_gated(old: Option<&Dataset>, new: &Dataset) -> bool {
    old.is_none_or(|old| old.spec != new.spec)
}

/// A change of labels or finalizers must not be held up by a spec that was there before.
fn is_untouched(old: Option<&Dataset>, new: &Dataset) -> bool {
    old.is_some_and(|old| old.spec == new.spec && old.metadata.labels == new.metadata.labels)
}

/// Pods name a Dataset without its group, so that of two of one name the younger makes nothing.
async fn twin(webhook: &Webhook, namespace: &str, new: &Dataset) -> Option<String> {
    let api_version = &new.types.as_ref()?.api_version;
    let other = ApiGroup::parse(api_version)?.other();
    let name = new.metadata.name.as_deref()?;
    // Unanswered admits: should a twin slip in, its condition says so.
    let exists = webhook
        .lookup
        .exists_in(other, namespace, name)
        .await
        .unwrap_or(false);
    exists.then(|| {
        format!(
            "metadata.name: namespace {namespace} has a Dataset {name} of group {other} already, and pods would not know \
             which one is meant; use that one, delete it first, or choose another name"
        )
    })
}

/// What can be said of a Dataset alone, and under this configuration if it is to be asked.
fn check(dataset: &Dataset, namespace: &str, config: Option<&Config>) -> Verdict {
    let name = dataset.metadata.name.as_deref().unwrap_or_default();
    // A generated name is not there yet, and the CRD's rule sees it later.
    if !name.is_empty() && !is_dns_label(name) {
        return Verdict::refuse(format!(
            "metadata.name: found {name:?}; expected a DNS label: at most 63 lower-case letters, digits and hyphens, no \
             dots, since pods name it in a label"
        ));
    }
    if let Some(path) = dataset
        .spec
        .mount
        .as_ref()
        .and_then(|mount| mount.path.as_deref())
        && let Err(problem) = check_mount_path(path)
    {
        return Verdict::refuse(format!("spec.mount.path: found {path:?}; {problem}"));
    }
    if let Some(size) = dataset
        .spec
        .mount
        .as_ref()
        .and_then(|mount| mount.size.as_deref())
        && !is_positive_quantity(size)
    {
        return Verdict::refuse(format!(
            "spec.mount.size: found {size:?}; expected a quantity above zero, as 5Gi"
        ));
    }
    let empty = BTreeMap::new();
    let labels = dataset.metadata.labels.as_ref().unwrap_or(&empty);
    let source = match Source::parse(&dataset.spec, labels, namespace) {
        Ok(source) => source,
        Err(error) => return Verdict::refuse(error.to_string()),
    };
    if let Some(config) = config
        && let Err(closed) = gates::check(config, namespace, &source)
    {
        return Verdict::refuse(closed.message);
    }
    let mut warnings = inert::warnings(&dataset.spec);
    if let Source::ObjectStore(bucket) = source
        && matches!(bucket.keys, KeySource::Inline { .. })
    {
        warnings.push(INLINE_KEYS_WARNING.to_owned());
    }
    Verdict {
        warnings,
        ..Verdict::admit()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn dataset(name: &str, local: &Value, mount: &Value) -> Dataset {
        serde_json::from_value(json!({
            "apiVersion": "com.ie.ibm.hpsys/v1alpha1", "kind": "Dataset",
            "metadata": { "name": name, "namespace": "ns" }, "spec": { "local": local, "mount": mount },
        }))
        .unwrap()
    }

    fn bucket(id: &str, secret: &str) -> Value {
        json!({
            "type": "COS", "endpoint": "https://s3.example.com", "bucket": "books",
            "accessKeyID": id, "secretAccessKey": secret,
        })
    }

    #[test]
    fn keys_in_a_dataset_are_warned_of_or_refused() {
        let inline = dataset("a", &bucket("id", "secret"), &json!({}));
        let mut refusing = Config::default();
        refusing.admission.inline_keys = false;
        let verdict = check(&inline, "ns", Some(&Config::default()));
        assert!(verdict.refusal.is_none() && verdict.warnings[0].contains("secret-name"));
        assert!(
            check(&inline, "ns", Some(&refusing))
                .refusal
                .unwrap()
                .contains("secret-name")
        );
        let anonymous = dataset("a", &bucket("", ""), &json!({}));
        assert_eq!(check(&anonymous, "ns", Some(&refusing)), Verdict::admit());
    }

    #[test]
    fn what_does_not_fit_is_refused_naming_the_key() {
        let good = bucket("", "");
        for (dataset, key) in [
            (dataset("a.b", &good, &json!({})), "metadata.name"),
            (
                dataset("a", &json!({ "type": "COS" }), &json!({})),
                "spec.local.endpoint",
            ),
            (
                dataset("a", &good, &json!({ "path": "data" })),
                "spec.mount.path",
            ),
            (
                dataset("a", &good, &json!({ "path": "/a/../b" })),
                "spec.mount.path",
            ),
            (
                dataset("a", &good, &json!({ "size": "0Gi" })),
                "spec.mount.size",
            ),
            (dataset("a", &good, &json!({ "uid": "root" })), "mount"),
        ] {
            let refusal = check(&dataset, "ns", None).refusal.unwrap();
            assert!(refusal.contains(key), "{refusal}");
        }
    }

    #[test]
    fn labels_and_finalizers_change_freely_on_a_spec_that_slipped_in() {
        let bad = dataset("a", &json!({ "type": "COS" }), &json!({}));
        let mut changed = bad.clone();
        changed.metadata.finalizers = Some(vec!["x".to_owned()]);
        assert!(is_untouched(Some(&bad), &changed));
        changed.spec.mount = None;
        assert!(!is_untouched(Some(&bad), &changed));
    }

    #[test]
    fn a_gate_that_closed_on_a_spec_holds_up_no_change_of_labels() {
        let old = dataset("a", &bucket("id", "secret"), &json!({}));
        let mut labelled = old.clone();
        labelled.metadata.labels = Some([("team".to_owned(), "x".to_owned())].into());
        assert!(!is_gated(Some(&old), &labelled));
        assert!(check(&labelled, "ns", None).refusal.is_none());
        let mut edited = labelled.clone();
        edited.spec.mount = None;
        assert!(is_gated(Some(&old), &edited) && is_gated(None, &old));
    }
}
