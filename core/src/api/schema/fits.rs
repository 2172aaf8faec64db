//! Whether types and schema say the same: a field that only the types know is dropped by the API server,
//! one that only the schema knows is lost at the next write.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{spec, status};
use crate::{
    api::{
        CacheMode, CacheSpec, CacheStatus, CachingStatus, DatasetSpec, DatasetStatus,
        DecisionStatus, Locality, Medium, MountSpec, NodeLabel, Phase, PhaseStatus, Placements,
        SchedulingSpec, UsageStatus, Warmup, WarmupOn, WarmupStatus,
    },
    condition::{ConditionType, Finding, merge},
    decision::REPLICAS_MAX,
};

/// Every field is named: one that is added does not compile before it stands here.
fn whole_spec() -> Value {
    let some = |text: &str| Some(text.to_owned());
    let map = |kind: &str| Some([("type".to_owned(), kind.to_owned())].into());
    json!(DatasetSpec {
        local: map("COS"),
        remote: map("CatalogEntry"),
        kind: some("ARCHIVE"),
        url: some("https://example.com/a.tgz"),
        format: some("application/x-tar"),
        extract: some("true"),
        mount: Some(MountSpec {
            path: some("/data"),
            uid: Some(u32::MAX),
            gid: Some(0),
            umask: some("022"),
            size: some("5Gi"),
            program: some("native"),
        }),
        cache: Some(CacheSpec {
            mode: Some(CacheMode::Always),
            plugin: some("nginx"),
            capacity: some("10Gi"),
            replicas: Some(REPLICAS_MAX),
            medium: Some(Medium::Memory),
            revalidate: some("never"),
            warmup: Some(Warmup {
                when: Some(WarmupOn::FirstUse),
                on: Some(WarmupOn::FirstUse),
                paths: vec!["train/".to_owned()],
            }),
            idle_after: some("24h"),
            priority: Some(i32::MIN),
        }),
        scheduling: Some(SchedulingSpec {
            locality: Some(Locality::WaitForCache),
            deadline: some("10m"),
        }),
        unreadable: None,
    })
}

fn whole_status() -> Value {
    let text = |text: &str| text.to_owned();
    let node = || NodeLabel {
        key: text("kubernetes.io/hostname"),
        value: text("n1"),
    };
    let ready = Finding::new(ConditionType::Ready, true, "Ready", "pods can use it");
    let now = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    json!(DatasetStatus {
        observed_generation: Some(1),
        provision: Some(PhaseStatus {
            status: Phase::Initializing,
            info: text("i"),
        }),
        caching: Some(CachingStatus {
            status: Phase::Disabled,
            info: text("i"),
            placements: Some(Placements {
                gateways: vec![node()],
                datalocations: vec![node()],
            }),
        }),
        source: Some(text("http://s3/b")),
        conditions: merge(&[], &[ready], 1, &now),
        usage: Some(UsageStatus {
            consumers: u32::MAX,
            nodes: 1,
            last_used_time: Some(text("2026-01-01T00:00:00Z")),
            bytes_read: 1,
            bytes_read_from_cache: 1,
            bytes_written: 1,
        }),
        cache: Some(Box::new(CacheStatus {
            plugin: text("nginx"),
            decision: DecisionStatus {
                action: text("Deploy"),
                reason: text("r"),
                time: Some(text("2026-01-01T00:00:00Z")),
                numbers: [(text("readBytes"), text("1Gi"))].into(),
            },
            capacity: text("1Gi"),
            used: Some(text("1Mi")),
            hit_ratio: Some(100),
            placements: vec![text("n1")],
            endpoint: Some(text("http://c")),
            warmup: Some(WarmupStatus {
                state: text("Loading"),
                objects: 1,
                loaded: text("1Gi"),
                of: text("h"),
                message: text("m"),
            }),
        })),
    })
}

/// What a value has that its schema does not allow, or the other way round.
fn differences(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = bounds(schema, value, path);
    match value {
        Value::Object(fields) => {
            let empty = serde_json::Map::new();
            let known = schema["properties"].as_object().unwrap_or(&empty);
            let any = &schema["additionalProperties"];
            let names: BTreeSet<&String> = known.keys().chain(fields.keys()).collect();
            for name in names {
                let path = format!("{path}.{name}");
                match (known.get(name), fields.get(name)) {
                    (Some(schema), Some(value)) => found.extend(differences(schema, value, &path)),
                    (None, Some(value)) if any.is_object() => {
                        found.extend(differences(any, value, &path));
                    }
                    (Some(_), None) => found.push(format!("{path}: the types do not have it")),
                    _ => found.push(format!("{path}: the schema does not have it")),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                found.extend(differences(&schema["items"], item, &format!("{path}[]")));
            }
        }
        _ => {}
    }
    found
}

/// Type, words and bounds of one value.
fn bounds(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let is = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    let mut found = Vec::new();
    if schema["type"] != is {
        found.push(format!(
            "{path}: {is}, and the schema says {}",
            schema["type"]
        ));
    }
    if let Some(words) = schema["enum"]
        .as_array()
        .filter(|words| !words.contains(value))
    {
        found.push(format!("{path}: {value} is none of {words:?}"));
    }
    let number = value.as_i64();
    let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
    if number < least || most.is_some_and(|most| number > Some(most)) {
        found.push(format!("{path}: {value} is not from {least:?} to {most:?}"));
    }
    found
}

#[test]
fn every_field_of_the_types_is_in_the_schema_and_every_one_of_the_schema_in_the_types() {
    let none: Vec<String> = Vec::new();
    assert_eq!(differences(&spec::schema(), &whole_spec(), "spec"), none);
    assert_eq!(
        differences(&status::schema(), &whole_status(), "status"),
        none
    );
}

#[test]
fn every_word_of_the_types_is_in_the_schema() {
    let words = |schema: &Value| schema["enum"].as_array().cloned().unwrap_or_default();
    let spec = spec::schema();
    let block = |name: &str, key: &str| words(&spec["properties"][name]["properties"][key]);
    let modes = [
        CacheMode::Off,
        CacheMode::Advise,
        CacheMode::Auto,
        CacheMode::Always,
    ];
    assert_eq!(json!(block("cache", "mode")), json!(modes));
    assert_eq!(
        json!(block("cache", "medium")),
        json!([Medium::Disk, Medium::Memory])
    );
    let localities = [
        Locality::Ignore,
        Locality::Prefer,
        Locality::Require,
        Locality::WaitForCache,
    ];
    assert_eq!(json!(block("scheduling", "locality")), json!(localities));
    let phases = [
        Phase::Initializing,
        Phase::Pending,
        Phase::OK,
        Phase::Disabled,
        Phase::Failed,
    ];
    let status = status::schema();
    let provision = &status["properties"]["provision"]["properties"]["status"];
    assert_eq!(json!(words(provision)), json!(phases));
}
