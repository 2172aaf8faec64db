use std::time::{Duration, Instant};

use dlf_core::plugin::{Needs, PluginKind, ProtocolRange};
use serde_json::json;

use super::*;

fn info(schema: Option<Value>) -> PluginInfo {
    PluginInfo {
        name: "acme".to_owned(),
        version: "1".to_owned(),
        protocol: ProtocolRange::CURRENT,
        kind: PluginKind::Caching,
        source_types: Vec::new(),
        emits: Vec::new(),
        observes: Vec::new(),
        needs: Needs::default(),
        config_schema: schema,
    }
}

fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "image": { "type": "string", "pattern": "^[a-z./-]+$" },
            "tier": { "enum": ["nvme", "hdd"] },
            "shards": { "type": "array", "items": { "$ref": "#/$defs/shard" } },
        },
        "required": ["image"],
        "additionalProperties": false,
        "$defs": { "shard": { "type": "object", "properties": { "weight": { "type": "integer", "minimum": 1 } } } },
    })
}

/// What does not fit of a section.
fn misfit(section: &Value) -> String {
    let misfit = check(&info(Some(schema())), section).unwrap_err();
    assert!(matches!(misfit, Misfit::Section(_)), "{misfit}");
    assert_eq!(
        PlanError::from(misfit.clone()).reason,
        "PluginMisconfigured"
    );
    misfit.to_string()
}

#[test]
fn a_section_that_fits_is_taken_and_so_is_any_without_a_schema() {
    let section = json!({ "image": "acme/cache", "tier": "nvme", "shards": [{ "weight": 2 }] });
    assert_eq!(check(&info(Some(schema())), &section), Ok(()));
    assert_eq!(check(&info(None), &json!({ "a": 1 })), Ok(()));
    assert_eq!(
        check(&info(Some(json!({ "type": "object" }))), &Value::Null),
        Ok(())
    );
}

#[test]
fn a_mistake_has_its_path_what_was_found_and_what_is_wanted() {
    for (section, expected) in [
        (
            json!({ "image": 42 }),
            "config.image: found 42; the schema wants type \"string\"",
        ),
        (
            json!({ "image": "acme", "bogus": 5 }),
            "config: found bogus; the schema knows image, shards, tier",
        ),
        (
            json!({ "image": "acme", "tier": "tape" }),
            "config.tier: found a string; the schema wants enum [\"nvme\",\"hdd\"]",
        ),
        (
            json!({ "image": "acme", "shards": [{}, { "weight": 0 }] }),
            "config.shards.1.weight: found 0; the schema wants minimum 1",
        ),
        (json!(null), "config.image is missing"),
        (
            json!([]),
            "config: found an array; the schema wants type \"object\"",
        ),
    ] {
        let said = misfit(&section);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_a_schema_knows_nothing_of_is_named() {
    for (schema, expected) in [
        (
            json!({ "additionalProperties": false }),
            "config: found bogus, image; the schema knows no key",
        ),
        (
            json!({ "properties": { "bogus": false } }),
            "config.bogus: found 5; the schema wants nothing there",
        ),
    ] {
        let section = json!({ "bogus": 5, "image": "acme" });
        let said = check(&info(Some(schema)), &section)
            .unwrap_err()
            .to_string();
        assert!(said.ends_with(expected), "{said}");
    }
}

#[test]
fn a_text_of_the_section_is_not_told_to_tenants() {
    let said = misfit(&json!({ "image": "NOT FOR ALL", "tier": "not for all" }));
    assert!(!said.to_lowercase().contains("not for all"), "{said}");
}

#[test]
fn a_section_with_many_mistakes_is_told_in_a_few_words() {
    let shards = vec![json!({ "weight": "x" }); 1000];
    let said = misfit(&json!({ "image": "acme", "shards": shards }));
    assert!(said.len() < 1000, "{said}");
}

#[test]
fn a_schema_that_is_none_or_leads_away_cannot_be_enforced() {
    let mut deep = json!({});
    for _ in 0..40 {
        deep = json!({ "properties": { "a": deep } });
    }
    let many: Map<_, _> = (0..65)
        .map(|number| (number.to_string(), json!({ "pattern": "a" })))
        .collect();
    for (schema, expected) in [
        (json!(true), "an object"),
        (json!({ "type": "strnig" }), "at /type"),
        (json!({ "pattern": "(" }), "at "),
        (json!({ "pattern": "a{1000}{1000}{1000}" }), "at "),
        (
            json!({ "$ref": "https://example.com/schema.json" }),
            "a part of the same schema",
        ),
        (
            json!({ "$ref": "file:///etc/passwd" }),
            "a part of the same schema",
        ),
        (json!({ "$ref": "#shard" }), "a part of the same schema"),
        (
            json!({ "$ref": "#/$defs/a%62" }),
            "a part of the same schema",
        ),
        (json!({ "$ref": "#/$defs/none" }), "nothing is there"),
        (json!({ "$dynamicRef": "#a" }), "$dynamicRef"),
        (json!({ "$schema": "https://example.com/mine" }), "2020-12"),
        (
            json!({ "not": { "$id": "https://example.com/" } }),
            "$id stands within it",
        ),
        (
            json!({ "properties": { "a": { "$ref": "#/properties/a" } } }),
            "refer to itself",
        ),
        (deep, "deeper than 64"),
        (json!({ "properties": many }), "regular expressions"),
        (json!({ "description": "x".repeat(70_000) }), "bytes"),
    ] {
        let misfit = check(&info(Some(schema.clone())), &Value::Null).unwrap_err();
        assert!(matches!(misfit, Misfit::Schema(_)), "{misfit}");
        assert!(misfit.to_string().contains(expected), "{schema}: {misfit}");
        assert_eq!(PlanError::from(misfit).reason, "PluginGarbage");
    }
}

#[test]
fn a_schema_cannot_make_a_check_long() {
    // Each refers twice to the next: two to the power of fifteen checks.
    let mut all = Map::new();
    for level in 0..15 {
        let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
        all.insert(level.to_string(), json!({ "anyOf": [next, next] }));
    }
    all.insert("15".to_owned(), json!({ "type": "string" }));
    let began = Instant::now();
    let schema = json!({ "$ref": "#/$defs/0", "$defs": all });
    assert!(usable(&schema).unwrap_err().contains("10000 values"));
    let nested = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
    let section = json!({ "a": format!("{}!", "a".repeat(10_000)) });
    assert!(check(&info(Some(nested)), &section).is_err());
    assert!(began.elapsed() < Duration::from_secs(5));
}
