//! Whether who runs a check may make, read and delete what it needs.

use std::error::Error;

use serde_json::{Value, json};

use super::{Fixture, cache::KINDS};
use crate::cluster::{Cluster, Kind};

/// Asks for every right before anything is made.
pub(super) async fn ask(cluster: &Cluster, fixture: &Fixture<'_>) -> Result<(), Box<dyn Error>> {
    let mut missing = Vec::new();
    for (verbs, kind, part, namespace) in needed(fixture) {
        let (group, resource) = kind.resource();
        let mut refused = Vec::new();
        for verb in verbs {
            let question = json!({ "spec": { "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part,
            }}});
            // Who cannot ask finds out by trying.
            let answer = cluster.create(Kind::ACCESS_REVIEW, None, question).await;
            if answer.is_ok_and(|answer: Value| answer["status"]["allowed"] == false) {
                refused.push(*verb);
            }
        }
        if !refused.is_empty() {
            let slash = if part.is_empty() { "" } else { "/" };
            let within = match namespace {
                "" => String::new(),
                namespace if namespace == fixture.namespace => {
                    " in a namespace it makes".to_owned()
                }
                namespace => format!(" in namespace {namespace}"),
            };
            let refused = refused.join(", ");
            missing.push(format!("\n  {refused} on {resource}{slash}{part}{within}"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.concat();
    Err(format!("not allowed: ask who administers the cluster, or choose another --context; the check needs{missing}").into())
}

type Right<'a> = (&'static [&'static str], Kind, &'static str, &'a str);

fn needed<'a>(fixture: &'a Fixture<'_>) -> Vec<Right<'a>> {
    let group = fixture.given.group;
    let (own, caches) = (
        fixture.namespace.as_str(),
        fixture.asked.cache_namespace.as_str(),
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
    if fixture.rotated.is_some() {
        needed.push((&["create", "get", "patch"], Kind::SECRET, "", own));
    } else if !fixture.given.secrets.is_empty() {
        needed.push((&["create"], Kind::SECRET, "", own));
    }
    let listed = KINDS.map(|kind| -> Right<'a> { (&["list"], kind, "", caches) });
    needed.extend(listed);
    needed
}
