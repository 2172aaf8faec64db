mod claims;
mod origins;
mod pods;
mod services;
mod size;
mod tasks;

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    api::Medium,
    plugin::{CacheOrigin, KindRef, Needs, PluginKind, ProtocolRange},
};

fn place() -> CachePlace {
    CachePlace {
        namespace: "dlf-caches".to_owned(),
        name: "c-1".to_owned(),
        labels: BTreeMap::from([("dlf.dev/cache".to_owned(), "1".to_owned())]),
        key_secret: None,
    }
}

fn decision() -> CacheDecision {
    CacheDecision {
        capacity_bytes: 1 << 30,
        replicas: 2,
        medium: Medium::Disk,
        revalidate_ms: None,
        warm: None,
        why: String::new(),
    }
}

fn info() -> PluginInfo {
    let emits = KINDS
        .iter()
        .map(|(version, kind)| KindRef::new(version, kind));
    PluginInfo {
        name: "acme".to_owned(),
        version: "1".to_owned(),
        protocol: ProtocolRange::CURRENT,
        kind: PluginKind::Caching,
        source_types: Vec::new(),
        emits: emits.chain([KindRef::new("v1", "Secret")]).collect(),
        observes: Vec::new(),
        needs: Needs::default(),
        config_schema: None,
    }
}

fn good() -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "namespace": "dlf-caches", "name": "c-1" },
            "spec": { "replicas": 2, "template": {
                "metadata": { "labels": { "dlf.dev/cache": "1" } },
                "spec": {
                    "automountServiceAccountToken": false,
                    "containers": [{ "name": "main", "ports": [{ "name": "http", "containerPort": 8080 }], "env": [
                        { "name": "A", "value": "1" },
                        { "name": "B", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                    ]}],
                    "volumes": [
                        { "name": "a", "emptyDir": { "sizeLimit": "512Mi" } },
                        { "name": "b", "configMap": { "name": "c-1-files" } },
                    ],
                },
            }},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": "dlf-caches", "name": "c-1" },
            "spec": { "selector": { "dlf.dev/cache": "1" }, "ports": [{ "port": 80, "targetPort": "http" }] },
        }),
    ]
}

fn judge(objects: Vec<Value>, endpoint: Option<&str>) -> Result<(), String> {
    let plan = CachingPlan {
        objects,
        origins: endpoint.map(CacheOrigin::at).into_iter().collect(),
        ..CachingPlan::default()
    };
    check(&plan, &info(), &place(), &decision()).map_err(|error| error.message)
}

#[test]
fn a_server_behind_a_service_may_be_planned() {
    assert_eq!(judge(good(), Some("http://c-1.dlf-caches.svc:80")), Ok(()));
    assert_eq!(judge(Vec::new(), None), Ok(()));
}

/// A good plan with one value changed, at a pointer into the Deployment or the Service, is refused in
/// words that contain `expected`.
fn refuses(object: usize, pointer: &str, value: Value, expected: &str) {
    let mut objects = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    objects[object].pointer_mut(parent).unwrap()[key] = value;
    let refused = judge(objects, None).unwrap_err();
    assert!(refused.contains(expected), "{pointer}: {refused}");
}

#[test]
fn an_object_that_is_not_this_caches_is_refused() {
    for (pointer, value, expected) in [
        ("/kind", json!("DaemonSet"), "DaemonSet"),
        ("/metadata/namespace", json!("kube-system"), "kube-system"),
        ("/metadata/name", json!("c-10"), "another cache"),
        ("/metadata/finalizers", json!(["x"]), "finalizers"),
        ("/metadata/ownerReferences", json!([]), "ownerReferences"),
        ("/spec/template/metadata/labels", json!({}), "dlf.dev/cache"),
        (
            "/spec/volumeClaimTemplates",
            json!([{ "metadata": { "name": "cache", "finalizers": ["x"] } }]),
            "claim cache of Deployment c-1 has metadata.finalizers",
        ),
    ] {
        refuses(0, pointer, value, expected);
    }
}

#[test]
fn a_kind_that_is_emitted_and_not_allowed_is_refused_and_so_are_doubles() {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "namespace": "dlf-caches", "name": "c-1" } });
    let refused = judge(vec![secret], None).unwrap_err();
    assert!(refused.contains("Secret"), "{refused}");
    let twice = judge([good(), good()].concat(), None).unwrap_err();
    assert!(twice.contains("twice"), "{twice}");
    let many = judge(vec![json!({}); OBJECTS_MAX + 1], None).unwrap_err();
    assert!(many.contains("33 objects"), "{many}");
}

#[test]
fn an_object_that_cannot_be_named_is_found_by_its_place_in_the_plan() {
    let mut objects = good();
    objects.push(json!(42));
    let refused = judge(objects, None).unwrap_err();
    assert!(
        refused.contains("objects[2] of the plan is 42"),
        "{refused}"
    );
}
