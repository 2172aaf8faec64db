//! A plan against what is there, as `git diff` shows it.

use std::{collections::BTreeSet, error::Error};

use dlf_core::api::quantity_bytes;
use serde_json::{Map, Value};
use similar::TextDiff;

use crate::output;

/// Lines around a change.
const CONTEXT: usize = 3;
/// Fields that tell the items of a list apart, as the API server merges them; the first that all
/// items have counts.
const KEYS: [&str; 4] = ["mountPath", "containerPort", "name", "port"];

/// What applying `planned` would change in `live`. Secrets are named and never shown.
pub(super) fn render(planned: &[Value], live: &[Value]) -> Result<String, Box<dyn Error>> {
    let mut parts = Vec::new();
    let mut same = 0_usize;
    for object in planned {
        let name = identity(object);
        if object["kind"] == "Secret" {
            parts.push(format!("# {name}: Secrets are not compared\n"));
            continue;
        }
        let found = live.iter().find(|live| identity(live) == name);
        let old = match found {
            Some(found) => output::yaml(&projected(object, found))?,
            None => String::new(),
        };
        let new = output::yaml(object)?;
        if old == new {
            same += 1;
            continue;
        }
        let before = found.map_or_else(|| "/dev/null".to_owned(), |_| format!("live {name}"));
        let diff = TextDiff::from_lines(&old, &new);
        let mut unified = diff.unified_diff();
        let unified = unified.context_radius(CONTEXT);
        let unified = unified.header(&before, &format!("planned {name}"));
        parts.push(unified.to_string());
    }
    let names: BTreeSet<String> = planned.iter().map(identity).collect();
    for left in live.iter().map(identity) {
        if !names.contains(&left) {
            parts.push(format!("# {left} is there and no longer planned\n"));
        }
    }
    if same > 0 {
        let are = if same == 1 {
            "object is"
        } else {
            "objects are"
        };
        parts.push(format!("# {same} {are} as planned\n"));
    }
    if parts.is_empty() {
        parts.push("# nothing is planned\n".to_owned());
    }
    Ok(parts.concat())
}

/// `KIND NAMESPACE/NAME`.
pub(super) fn identity(object: &Value) -> String {
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    format!(
        "{} {}/{}",
        said(&object["kind"]),
        said(&metadata["namespace"]),
        said(&metadata["name"])
    )
}

/// What `live` has in the fields that `planned` sets; what it has in others is not the plan's.
fn projected(planned: &Value, live: &Value) -> Value {
    match (planned, live) {
        (Value::Object(planned), Value::Object(live)) => {
            let fields = planned.iter().filter_map(|(name, value)| {
                let found = live.get(name).unwrap_or(&Value::Null);
                // The API server leaves out what is empty.
                let left_out = found.is_null() && is_empty(value);
                let kept = if left_out {
                    value.clone()
                } else if found.is_null() {
                    return None;
                } else {
                    projected(value, found)
                };
                Some((name.clone(), kept))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        (Value::Array(planned), Value::Array(live)) => Value::Array(items(planned, live)),
        _ if is_same(planned, live) => planned.clone(),
        _ => live.clone(),
    }
}

/// The items of a live list, each as far as the planned item of its key goes. Those that are not
/// planned stay whole: applying the plan takes them away.
fn items(planned: &[Value], live: &[Value]) -> Vec<Value> {
    let all = || planned.iter().chain(live);
    let key = KEYS
        .into_iter()
        .find(|key| all().all(|item| !item[*key].is_null()));
    let counterpart = |index: usize, item: &Value| match key {
        Some(key) => planned.iter().find(|planned| planned[key] == item[key]),
        None => planned.get(index),
    };
    let mut items: Vec<(usize, Value)> = live
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let Some(planned_item) = counterpart(index, item) else {
                return (planned.len(), item.clone());
            };
            let place = planned.iter().position(|item| item == planned_item);
            (place.unwrap_or(index), projected(planned_item, item))
        })
        .collect();
    // The order of a list with keys says nothing.
    if key.is_some() {
        items.sort_by_key(|(place, _)| *place);
    }
    items.into_iter().map(|(_, item)| item).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Whether two ways to write a value mean the same, as 1024Mi and 1Gi do.
fn is_same(planned: &Value, live: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (planned, live) = (text(planned), text(live));
    let size = quantity_bytes(&planned);
    planned == live || size.is_some() && size == quantity_bytes(&live)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "c", "namespace": "dlf-caches" },
            "spec": {
                "replicas": 2,
                "template": { "spec": {
                    "hostNetwork": false,
                    "containers": [{
                        "name": "cache",
                        "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                        "resources": { "requests": { "memory": "1024Mi" } },
                    }],
                }},
            },
        })
    }

    fn live() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "c", "namespace": "dlf-caches", "uid": "u", "managedFields": [{}],
                "labels": { "dlf.dev/plugin": "acme" },
            },
            "spec": {
                "replicas": 2,
                "progressDeadlineSeconds": 600,
                "template": { "spec": {
                    "restartPolicy": "Always",
                    "containers": [{
                        "name": "cache",
                        "imagePullPolicy": "Always",
                        "env": [{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }],
                        "resources": { "requests": { "memory": "1Gi" } },
                    }],
                }},
            },
            "status": { "readyReplicas": 2 },
        })
    }

    #[test]
    fn what_the_plan_does_not_set_is_no_difference() {
        let text = render(&[deployment()], &[live()]).unwrap();
        assert_eq!(text, "# 1 object is as planned\n");
    }

    #[test]
    fn a_change_is_shown_where_it_is() {
        let mut changed = live();
        changed["spec"]["replicas"] = json!(1);
        changed["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = json!("3");
        let text = render(&[deployment()], &[changed]).unwrap();
        assert!(text.starts_with(
            "--- live Deployment dlf-caches/c\n+++ planned Deployment dlf-caches/c\n"
        ));
        assert!(
            text.contains("\n-  replicas: 1\n+  replicas: 2\n"),
            "{text}"
        );
        let lines = |sign: char| {
            let lines = text.lines();
            lines.filter(|line| line.starts_with(sign)).count()
        };
        assert_eq!((lines('-'), lines('+')), (3, 3), "{text}");
    }

    #[test]
    fn an_item_that_is_no_longer_planned_is_taken_away() {
        let mut more = live();
        let env = &mut more["spec"]["template"]["spec"]["containers"][0]["env"];
        env.as_array_mut()
            .unwrap()
            .insert(0, json!({ "name": "OLD", "value": "x" }));
        let text = render(&[deployment()], &[more]).unwrap();
        assert!(
            text.contains("-        - name: OLD") || text.contains("name: OLD\n-"),
            "{text}"
        );
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with('+') && !line.starts_with("+++"))
        );
    }

    #[test]
    fn what_is_not_there_is_all_new_and_what_is_left_is_named() {
        let mut other = live();
        other["metadata"]["name"] = json!("old");
        let text = render(&[deployment()], &[other]).unwrap();
        assert!(text.starts_with("--- /dev/null\n+++ planned Deployment dlf-caches/c\n"));
        assert!(text.contains("\n+kind: Deployment\n"), "{text}");
        assert!(text.contains("# Deployment dlf-caches/old is there and no longer planned"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = json!({
            "kind": "Secret", "metadata": { "name": "c", "namespace": "dlf-caches" },
            "stringData": { "key": "never-shown" },
        });
        let text = render(&[secret], &[]).unwrap();
        assert!(text.contains("not compared") && !text.contains("never-shown"));
        assert!(render(&[], &[]).unwrap().contains("nothing is planned"));
    }
}
