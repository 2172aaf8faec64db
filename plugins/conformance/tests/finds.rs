//! Each check fails on a plugin that does what it forbids: a good plugin's answers, spoilt on their way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dlf_core::plugin::PROTOCOL;
use dlf_plugin_conformance::{Direct, Outcome, Plugin};
use dlf_plugin_host::carrier::{Channel, Fault, Question};
use dlf_plugin_s3fs::S3fs;
use dlf_plugin_sdk::prelude::*;

/// Changes an answer to a message; the number counts answers.
type Spoil = fn(message: &Value, reply: &mut Value, number: u64);

/// Servers in front of a bucket, as the SDK plans them, with all that they may have.
struct Cache;

#[async_trait]
impl CachingPlugin for Cache {
    fn describe(&self) -> PluginInfo {
        let described = caching("cache", "1").plans_servers();
        described.needs_source_keys().build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let server = Server::new(request, "docker.io/library/cache:1", 8080);
        let server = server.status_path("/status").source_keys();
        Ok(server.sharded(SHARD_BYTES_DEFAULT).plan())
    }
}

struct Spoilt {
    good: Direct,
    spoil: Spoil,
    answers: AtomicU64,
}

#[async_trait]
impl Channel for Spoilt {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        let garbage = |error: serde_json::Error| Fault::Garbage(error.to_string());
        let asked: Value = serde_json::from_slice(&question.message).map_err(garbage)?;
        let reply = self.good.call(question).await?;
        let mut reply = serde_json::from_slice(&reply).map_err(garbage)?;
        (self.spoil)(
            &asked,
            &mut reply,
            self.answers.fetch_add(1, Ordering::Relaxed),
        );
        serde_json::to_vec(&reply).map_err(garbage)
    }
}

/// What failed, and how many checks were skipped.
async fn found(plugin: Plugin, spoil: Spoil) -> (Vec<&'static str>, usize) {
    let spoilt = Spoilt {
        good: Direct::new(plugin),
        spoil,
        answers: AtomicU64::new(0),
    };
    let report = dlf_plugin_conformance::check(Arc::new(spoilt), &Value::Null).await;
    let mut failed = Vec::new();
    let mut skipped = 0;
    for check in &report.checks {
        match &check.outcome {
            Outcome::Passed => {}
            Outcome::Failed { .. } => failed.push(check.name),
            Outcome::Skipped { .. } => skipped += 1,
        }
    }
    assert_eq!(report.passed(), failed.is_empty());
    (failed, skipped)
}

/// Sets what there is in a reply.
fn set(reply: &mut Value, place: &str, to: Value) {
    if let Some(there) = reply.pointer_mut(place) {
        *there = to;
    }
}

fn refuse(reply: &mut Value) {
    *reply = json!({ "error": { "reason": "SourceNotSupported", "message": "not this one" } });
}

fn asks_for(message: &Value, intent: &str) -> bool {
    message["request"]["intent"] == intent
}

const OF_ALL: [(&str, Spoil); 12] = [
    (
        "it says who it is, and speaks a protocol that this host knows",
        |_, reply, _| set(reply, "/ok/protocol", json!({ "min": 90, "max": 99 })),
    ),
    ("its name is a DNS label", |_, reply, _| {
        set(reply, "/ok/name", json!("No Label"));
    }),
    ("it has a version", |_, reply, _| {
        set(reply, "/ok/version", json!(""));
    }),
    ("it plans for some type of source", |_, reply, _| {
        set(reply, "/ok/sourceTypes", json!([]));
    }),
    (
        "the schema of its configuration can be enforced",
        |_, reply, _| set(reply, "/ok/configSchema", json!(true)),
    ),
    (
        "the schema of its configuration can be enforced",
        |_, reply, _| {
            let elsewhere = json!({ "$ref": "https://example.com/schema.json" });
            set(reply, "/ok/configSchema", elsewhere);
        },
    ),
    ("its configuration fits its schema", |_, reply, _| {
        set(reply, "/ok/configSchema", json!({ "required": ["image"] }));
    }),
    (
        "it says the same of itself each time",
        |_, reply, number| set(reply, "/ok/version", json!(number.to_string())),
    ),
    (
        "it gives the same plan to the same request, also many at once",
        |_, reply, number| set(reply, "/ok/condition/message", json!(number.to_string())),
    ),
    (
        "it ignores fields that it does not know",
        |message, reply, _| {
            if message.get("fromALaterVersion").is_some() {
                refuse(reply);
            }
        },
    ),
    (
        "it refuses a protocol version that it does not speak",
        |message, reply, _| {
            if message["protocol"] != json!(PROTOCOL) {
                *reply = json!({ "ok": {} });
            }
        },
    ),
    (
        "it refuses a call that it does not know, and goes on",
        |message, reply, _| {
            if message["call"] == "dance" {
                *reply = json!({ "ok": "dancing" });
            }
        },
    ),
];

const ALLOWED: &str = "its objects are of kinds, names and powers that caches may have";
const STABLE: &str = "its objects stay the same when they are there";
const NAMED: &str =
    "it mounts what the dataset names, as the dataset says and by a program that nodes have";

/// With how many checks cannot be made then.
const OF_CACHES: [(&str, usize, Spoil); 14] = [
    (
        "it plans a cache in front of buckets of every kind",
        5,
        |message, reply, _| {
            if asks_for(message, "exist") {
                set(reply, "/ok/objects", json!([]));
            }
        },
    ),
    (
        "it plans a cache in front of buckets of every kind",
        5,
        |message, reply, _| {
            if asks_for(message, "exist") {
                refuse(reply);
            }
        },
    ),
    (ALLOWED, 0, |_, reply, _| {
        set(reply, "/ok/objects/0/metadata/namespace", json!("default"));
    }),
    (ALLOWED, 0, |_, reply, _| {
        let elsewhere = json!(["http://elsewhere.default.svc:80/status"]);
        set(reply, "/ok/statusEndpoints", elsewhere);
    }),
    (ALLOWED, 0, |_, reply, _| {
        let everything = json!({ "warm": { "paths": [] } });
        set(reply, "/ok/tasks", json!([everything, everything]));
    }),
    (ALLOWED, 0, |_, reply, _| {
        let elsewhere = json!(["http://elsewhere.default.svc:80"]);
        set(reply, "/ok/origins/0/shards", elsewhere);
    }),
    (ALLOWED, 0, |_, reply, _| {
        let volumes = json!([{ "name": "keys", "secret": { "secretName": "dlf-ca" } }]);
        set(reply, "/ok/objects/0/spec/template/spec/volumes", volumes);
    }),
    (STABLE, 0, |message, reply, _| {
        let told = message.pointer("/request/observed/status/0").is_some();
        let annotations = json!({ "told": told.to_string() });
        if let Some(metadata) = reply.pointer_mut("/ok/objects/0/metadata") {
            metadata["annotations"] = annotations;
        }
    }),
    (
        "its objects have only fields that Kubernetes knows",
        0,
        |_, reply, _| {
            let container = "/ok/objects/0/spec/template/spec/containers/0";
            if let Some(container) = reply.pointer_mut(container) {
                container["iamge"] = json!("docker.io/library/cache:1");
            }
        },
    ),
    (
        "its objects have only fields that Kubernetes knows",
        0,
        |_, reply, _| {
            let image = "/ok/objects/0/spec/template/spec/containers/0/image";
            set(reply, image, json!(1));
        },
    ),
    (
        "it sends no read to a cache of which nothing is there yet",
        0,
        |message, reply, _| {
            if asks_for(message, "exist") && message["request"]["observed"]["objects"] == json!([])
            {
                let (name, namespace) = (
                    &message["request"]["place"]["name"],
                    &message["request"]["place"]["namespace"],
                );
                let host = format!(
                    "{}.{}.svc",
                    name.as_str().unwrap_or_default(),
                    namespace.as_str().unwrap_or_default()
                );
                set(
                    reply,
                    "/ok/origins",
                    json!([{ "endpoint": format!("http://{host}:8080") }]),
                );
            }
        },
    ),
    (STABLE, 0, |message, reply, _| {
        let seen = message.pointer("/request/observed/objects/0").is_some();
        let annotations = json!({ "seen": seen.to_string() });
        if let Some(metadata) = reply.pointer_mut("/ok/objects/0/metadata") {
            metadata["annotations"] = annotations;
        }
    }),
    (
        "it sends reads to a cache that is ready, and says so",
        0,
        |_, reply, _| set(reply, "/ok/condition/ready", json!(false)),
    ),
    (
        "it plans nothing for a cache that is to go",
        0,
        |message, reply, _| {
            if asks_for(message, "delete") {
                set(reply, "/ok/objects", json!([{}]));
            }
        },
    ),
];

const OF_STORAGE: [(&str, Spoil); 6] = [
    (
        "it plans every type of source that it says it plans",
        |message, reply, _| {
            if asks_for(message, "exist") {
                refuse(reply);
            }
        },
    ),
    (NAMED, |_, reply, _| {
        set(reply, "/ok/volume/mount/readonly", json!(false));
    }),
    (NAMED, |_, reply, _| {
        let program = "/ok/volume/mount/fileSystem/objectStore/program";
        set(reply, program, json!("sh"));
    }),
    (NAMED, |_, reply, _| {
        let endpoint = "/ok/volume/mount/fileSystem/objectStore/origins/0/endpoint";
        set(reply, endpoint, json!("https://elsewhere.example.com"));
    }),
    ("keys are references", |_, reply, _| {
        set(
            reply,
            "/ok/secret/accessKeyID",
            json!({ "literal": "AKIA" }),
        );
    }),
    (
        "it plans what is left to do when a dataset goes",
        |message, reply, _| {
            if asks_for(message, "delete") {
                refuse(reply);
            }
        },
    ),
];

#[tokio::test]
async fn a_good_plugin_passes_all_that_applies() {
    let untouched: Spoil = |_, _, _| ();
    assert_eq!(found(Plugin::caching(Cache), untouched).await, (vec![], 0));
    assert_eq!(found(Plugin::storage(S3fs), untouched).await, (vec![], 0));
    let nfs = Plugin::storage(dlf_plugin_nfs::Nfs);
    assert_eq!(
        found(nfs, untouched).await,
        (vec![], 1),
        "it plans no buckets"
    );
}

#[tokio::test]
async fn what_every_plugin_has_to_do_is_found() {
    for (name, spoil) in OF_ALL {
        let (failed, _) = found(Plugin::caching(Cache), spoil).await;
        assert_eq!(failed.first(), Some(&name), "{failed:?}");
    }
}

#[tokio::test]
async fn what_a_caching_plugin_has_to_do_is_found() {
    for (name, skipped, spoil) in OF_CACHES {
        let found = found(Plugin::caching(Cache), spoil).await;
        assert_eq!(found, (vec![name], skipped));
    }
}

#[tokio::test]
async fn what_a_storage_plugin_has_to_do_is_found() {
    for (name, spoil) in OF_STORAGE {
        let (failed, skipped) = found(Plugin::storage(S3fs), spoil).await;
        assert_eq!((failed, skipped), (vec![name], 0));
    }
}

/// A cache that is not planned without a tier.
#[derive(Default)]
struct Tiered;

#[async_trait]
impl CachingPlugin for Tiered {
    fn describe(&self) -> PluginInfo {
        let schema =
            json!({ "properties": { "tier": { "enum": ["nvme", "hdd"] } }, "required": ["tier"] });
        caching("tiered", "1")
            .plans_servers()
            .config_schema(schema)
            .build()
    }

    async fn plan(&self, request: &CachingRequest) -> Result<CachingPlan, PlanError> {
        let tier = request.config["tier"].as_str();
        let tier = tier.ok_or_else(|| PlanError::new("NoTier", "config.tier is missing"))?;
        Ok(Server::new(request, "cache:1", 8080)
            .env("TIER", tier)
            .plan())
    }
}

mod configured {
    dlf_plugin_conformance::conformance!(super::Tiered: caching, serde_json::json!({ "tier": "nvme" }));
}

#[test]
fn a_plugin_that_needs_something_configured_is_told_what_is_missing() {
    let report = dlf_plugin_conformance::run(Plugin::caching(Tiered), &Value::Null);
    let shown = report.to_string();
    assert!(shown.contains("config.tier is missing"), "{shown}");
    assert!(shown.contains("1 failed, 1 skipped"), "{shown}");
}

/// A plugin that says who it is, and does something else when it is asked more.
struct Broken {
    good: Direct,
    instead: Fault,
}

#[async_trait]
impl Channel for Broken {
    async fn call(&self, question: Question) -> Result<Vec<u8>, Fault> {
        let garbage = |error: serde_json::Error| Fault::Garbage(error.to_string());
        let asked: Value = serde_json::from_slice(&question.message).map_err(garbage)?;
        if asked["call"] == "describe" {
            return self.good.call(question).await;
        }
        Err(self.instead.clone())
    }
}

#[tokio::test]
async fn what_to_do_follows_from_what_the_plugin_did_instead_of_answering() {
    for (instead, expected) in [
        (Fault::Ended("exit status: 1".to_owned()), "standard error"),
        (
            Fault::Unreachable("no such file".to_owned()),
            "standard error",
        ),
        (Fault::Late(Duration::from_secs(5)), "a loop or a wait"),
        (
            Fault::Garbage("missing field `reason`".to_owned()),
            "docs/plugin-protocol",
        ),
    ] {
        for plugin in [Plugin::caching(Cache), Plugin::storage(S3fs)] {
            let broken = Broken {
                good: Direct::new(plugin),
                instead: instead.clone(),
            };
            let report = dlf_plugin_conformance::check(Arc::new(broken), &Value::Null).await;
            let failed = report
                .checks
                .iter()
                .filter_map(|check| match &check.outcome {
                    Outcome::Failed { fix, .. } => Some((check.name, *fix)),
                    _ => None,
                });
            let failed: Vec<_> = failed.collect();
            assert!(failed.len() > 3, "{report}");
            for (name, fix) in failed {
                assert!(fix.contains(expected), "{name}: {fix}");
            }
        }
    }
}
