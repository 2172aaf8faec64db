use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use dlf_core::plugin::{Needs, PluginKind, ProtocolRange, Reply};
use serde_json::json;

use super::*;
use crate::{
    carrier::{Fault, Question},
    config::Carrier,
    plugin::Plugin,
};

/// A caching plugin that describes itself, and counts how often it was asked to.
struct Described {
    schema: Value,
    generation: AtomicU64,
    asked: AtomicUsize,
}

#[async_trait]
impl Channel for Described {
    async fn call(&self, _: Question) -> Result<Vec<u8>, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let info = PluginInfo {
            name: "acme".to_owned(),
            version: "3".to_owned(),
            protocol: ProtocolRange::CURRENT,
            kind: PluginKind::Caching,
            source_types: Vec::new(),
            emits: Vec::new(),
            observes: Vec::new(),
            needs: Needs::default(),
            config_schema: Some(self.schema.clone()).filter(|schema| !schema.is_null()),
        };
        Ok(serde_json::to_vec(&Reply::Ok(json!(info))).unwrap())
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

/// A plugin that gives this schema and has this section of the configuration.
fn plugin(schema: Value, section: Value) -> (Arc<Described>, Plugin) {
    let channel = Arc::new(Described {
        schema,
        generation: AtomicU64::new(0),
        asked: AtomicUsize::new(0),
    });
    let (name, place) = ("acme".to_owned(), "https://acme:8443".to_owned());
    let way = Arc::clone(&channel) as Arc<dyn Channel>;
    let plugin = Plugin::remote(name, Carrier::Isolated, place, way, section);
    (channel, plugin)
}

#[tokio::test]
async fn a_plugin_whose_section_does_not_fit_plans_nothing_and_is_shown_as_failing() {
    let schema = json!({ "type": "object", "properties": { "image": { "type": "string" } } });
    let (channel, acme) = plugin(schema, json!({ "image": 42 }));
    for _ in 0..2 {
        let error = acme.caching().await.err().unwrap();
        assert_eq!(error.reason, "PluginMisconfigured");
        let expected = "config.image: found 42; the schema wants type \"string\"";
        assert!(error.message.contains(expected), "{}", error.message);
    }
    assert_eq!(channel.asked.load(Ordering::Relaxed), 1, "it is asked once");
    let seen = serde_json::to_value(acme.seen()).unwrap();
    assert_eq!(seen["state"], "failing");
    assert_eq!(seen["version"], "3");
    assert!(seen["error"].to_string().contains("config.image"), "{seen}");
    // Another version of it may describe another section.
    channel.generation.store(1, Ordering::Relaxed);
    assert!(acme.caching().await.is_err());
    assert_eq!(channel.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_plugin_whose_section_fits_or_is_not_described_plans() {
    let schema = json!({ "type": "object", "required": ["image"] });
    for (schema, section) in [
        (schema, json!({ "image": "acme/cache:1" })),
        (Value::Null, json!({ "anything": true })),
        (Value::Null, Value::Null),
    ] {
        let (_, acme) = plugin(schema, section);
        assert!(acme.caching().await.is_ok());
        let seen = serde_json::to_value(acme.seen()).unwrap();
        assert_eq!(seen["state"], "ready");
    }
}
