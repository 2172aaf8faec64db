//! Protocol version 2 as it is written down: fixtures that every later version reads, and schemas.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, fs, path::Path};

use dlf_core::plugin::{CacheStats, CachingPlan, Message, PluginInfo, Reply, StoragePlan};
use dlf_core::shards::shard_of;
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A fixture is read as what it is, and written again says the same.
fn keeps<Type: Serialize + DeserializeOwned>(fixture: &str) {
    let path = Path::new("tests/v2").join(fixture);
    let text = fs::read_to_string(&path).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let read: Type = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), value, "{fixture}");
}

#[test]
fn messages_of_version_2_are_read_by_this_version() {
    for fixture in [
        "describe.json",
        "plan-storage.json",
        "plan-storage-nfs.json",
        "plan-caching.json",
    ] {
        keeps::<Message>(fixture);
    }
    for fixture in ["reply.json", "reply-error.json"] {
        keeps::<Reply>(fixture);
    }
    keeps::<PluginInfo>("plugin-info.json");
    keeps::<StoragePlan>("storage-plan.json");
    keeps::<CachingPlan>("caching-plan.json");
    keeps::<CacheStats>("cache-stats.json");
}

#[test]
fn what_a_plugin_of_version_2_may_leave_out_has_a_default() {
    let info: PluginInfo = serde_json::from_str(
        r#"{ "name": "x", "version": "1", "protocol": { "min": 2, "max": 2 }, "kind": "caching", "sourceTypes": ["COS"] }"#,
    )
    .unwrap();
    assert!(info.emits.is_empty() && info.observes.is_empty() && info.config_schema.is_none());
    let plan: CachingPlan = serde_json::from_str("{}").unwrap();
    assert_eq!(plan, CachingPlan::default());
    assert!(!plan.condition.ready);
    let stats: CacheStats = serde_json::from_str(r#"{ "version": 1 }"#).unwrap();
    assert_eq!((stats.used_bytes, stats.node.as_str()), (0, ""));
}

/// The fixture was made by another implementation, in Python.
#[test]
fn the_shard_of_a_unit_is_the_same_in_every_language() {
    let text = fs::read_to_string("tests/v2/shards.json").unwrap();
    let fixture: Value = serde_json::from_str(&text).unwrap();
    let shards: Vec<&str> = fixture["shards"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let examples = fixture["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 12);
    for example in examples {
        let text = |key: &str| example[key].as_str().unwrap();
        let unit = example["unit"].as_u64().unwrap();
        let chosen = shard_of(shards.iter().copied(), text("bucket"), text("key"), unit);
        assert_eq!(shards[chosen.unwrap()], text("shard"), "{example}");
    }
}

#[test]
fn the_schemas_are_what_the_types_say() {
    schema::<Message>("message");
    schema::<Reply>("reply");
    schema::<PluginInfo>("plugin-info");
    schema::<StoragePlan>("storage-plan");
    schema::<CachingPlan>("caching-plan");
    schema::<CacheStats>("cache-stats");
}

fn schema<Type: JsonSchema>(name: &str) {
    let made = format!("{:#}\n", schema_for!(Type).to_value());
    let directory = Path::new("../../docs/plugin-protocol/v2");
    let path = directory.join(format!("{name}.schema.json"));
    if env::var_os("DLF_REGENERATE").is_some() {
        fs::create_dir_all(directory).unwrap();
        fs::write(&path, &made).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        made,
        "DLF_REGENERATE=1 cargo test -p dlf-plugin-sdk makes it anew"
    );
}
