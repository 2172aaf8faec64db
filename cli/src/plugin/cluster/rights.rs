//! Whether who runs a check may make, read and delete what it needs.

use std::error::Error;

use serde_json::{Value, json};

use super::{Target, cache::KINDS};
use crate::cluster::{Cluster, Kind};

/// Asks for every right before anything is made.
pub(super) async fn ask(cluster: &Cluster, target: &Target<'_>) -> Result<(), Box<dyn Error>> {
    let mut missing = Vec::new();
    for (verbs, kind, part, namespace) in needed(target) {
        for verb in verbs {
            let (group, resource) = kind.resource();
            let question = json!({ "spec": { "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part,
            }}});
            // Who cannot ask finds out by trying.
            let answer = cluster.create(Kind::ACCESS_REVIEW, None, question).await;
            if answer.is_ok_and(|answer: Value| answer["status"]["allowed"] == false) {
                let part = if part.is_empty() { "" } else { "/log" };
                let within = match namespace {
                    "" => "in the cluster".to_owned(),
                    namespace => format!("in namespace {namespace}"),
                };
                missing.push(format!("`{verb}` on {resource}{part} {within}"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(format!("not allowed; the check needs {missing}: ask who administers the cluster, or choose another --context").into())
}

type Right<'a> = (&'static [&'static str], Kind, &'static str, &'a str);

fn needed<'a>(target: &'a Target<'_>) -> Vec<Right<'a>> {
    let group = target.given.group;
    let (own, caches) = (
        target.namespace.as_str(),
        target.asked.cache_namespace.as_str(),
    );
    let all = &["create", "get", "list", "delete"];
    let mut needed: Vec<Right<'a>> = vec![
        (&["create", "get", "delete"], Kind::NAMESPACE, "", ""),
        (
            &["create", "get", "patch", "delete"],
            Kind::dataset(group),
            "",
            own,
        ),
        (&["get"], Kind::internal(group), "", own),
        (all, Kind::POD, "", own),
        (&["get"], Kind::POD, "log", own),
        (&["list", "delete"], Kind::POD, "", caches),
    ];
    if !target.given.secrets.is_empty() {
        needed.push((&["create"], Kind::SECRET, "", own));
    }
    let listed = KINDS.map(|kind| -> Right<'a> { (&["list"], kind, "", caches) });
    needed.extend(listed);
    needed
}
