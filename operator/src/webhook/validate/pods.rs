//! `/validate/pods`: a pod keeps the datasets it was made with.

use std::collections::BTreeMap;

use dlf_core::{
    labels::{is_our_annotation, is_our_label},
    names::{ANNOTATION_VOLUMES, LABEL_USES_DATASETS},
};

use crate::webhook::{
    pod::{Metadata, Pod},
    review::{Operation, Request, Verdict},
};

/// Decides on the change of a pod.
pub(in crate::webhook) fn pods(request: &Request<Pod>) -> Verdict {
    let (Operation::Update, Some(old), Some(new)) =
        (request.operation, &request.old_object, &request.object)
    else {
        return Verdict::admit();
    };
    match changed(&old.metadata, &new.metadata) {
        None => Verdict::admit(),
        Some(key) => Verdict::refuse(format!(
            "{key}: cannot be changed on a pod that is there: its datasets are given to it when it is made; change \
             the template, or delete the pod and make it anew"
        )),
    }
}

fn changed<'a>(old: &'a Metadata, new: &'a Metadata) -> Option<&'a str> {
    let ours = |key: &str| key == LABEL_USES_DATASETS || is_our_label(key);
    let label = difference(old.labels.as_ref(), new.labels.as_ref(), ours);
    label.or_else(|| {
        let ours = |key: &str| key == ANNOTATION_VOLUMES || is_our_annotation(key);
        difference(old.annotations.as_ref(), new.annotations.as_ref(), ours)
    })
}

type Map = BTreeMap<String, String>;

fn difference<'a>(
    old: Option<&'a Map>,
    new: Option<&'a Map>,
    ours: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let value = |map: Option<&'a Map>, key: &str| map.and_then(|map| map.get(key));
    let keys = old.into_iter().chain(new).flat_map(BTreeMap::keys);
    keys.map(String::as_str)
        .find(|key| ours(key) && value(old, key) != value(new, key))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn verdict(old: &Value, new: &Value) -> Option<String> {
        let request = json!({ "request": {
            "uid": "u", "operation": "UPDATE", "oldObject": { "metadata": old }, "object": { "metadata": new },
        }});
        pods(&Request::read(request.to_string().as_bytes()).unwrap()).refusal
    }

    #[test]
    fn a_pod_keeps_its_datasets() {
        let old =
            json!({ "labels": { "dataset.0.id": "a", LABEL_USES_DATASETS: "true", "app": "x" } });
        assert_eq!(verdict(&old, &old), None);
        for new in [
            json!({}),
            json!({ "labels": { "dataset.0.id": "b", LABEL_USES_DATASETS: "true" } }),
            json!({ "labels": { "dataset.0.id": "a" } }),
            json!({ "labels": { "dataset.0.id": "a", LABEL_USES_DATASETS: "true", "dataset.1.id": "b" } }),
            json!({ "labels": old["labels"], "annotations": { "dataset.0.subpath": "x" } }),
        ] {
            assert!(verdict(&old, &new).is_some(), "{new}");
        }
    }

    #[test]
    fn the_rest_of_a_pod_is_free() {
        let old = json!({ "labels": { "dataset.0.id": "a" }, "annotations": { "x": "1" } });
        let new = json!({ "labels": { "dataset.0.id": "a", "dataset.team.owner": "b", "y": "2" } });
        assert_eq!(verdict(&old, &new), None);
    }
}
