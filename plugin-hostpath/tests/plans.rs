//! What the plugin plans, as snapshots a person can read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use dlf_core::{
    api::MountSpec,
    plugin::{DatasetRef, Intent, StoragePlugin, StorageRequest},
    source::{HostPathSource, Source},
};
use dlf_plugin_hostpath::HostPath;
use futures::FutureExt;

fn request() -> StorageRequest {
    let source = HostPathSource {
        path: "/data/books".to_owned(),
        create: true,
        readonly: true,
    };
    StorageRequest {
        dataset: DatasetRef {
            namespace: "ml".to_owned(),
            name: "books".to_owned(),
            uid: "1-2-3".to_owned(),
            labels: BTreeMap::new(),
        },
        source: Source::HostPath(source),
        mount: MountSpec::default(),
        revalidate_ms: Some(60_000),
        intent: Intent::Exist,
        config: serde_json::Value::Null,
    }
}

fn plan(request: &StorageRequest) -> serde_json::Value {
    // A plan waits for nothing.
    match HostPath.plan(request).now_or_never().unwrap() {
        Ok(plan) => serde_json::to_value(plan).unwrap(),
        Err(error) => serde_json::json!({ "reason": error.reason, "message": error.message }),
    }
}

#[test]
fn a_source_that_is_read_only() {
    insta::assert_json_snapshot!(plan(&request()));
}

#[test]
fn ownership_that_is_not_ours_to_give() {
    let mut request = request();
    request.mount.uid = Some(1000);
    insta::assert_json_snapshot!(plan(&request));
}
