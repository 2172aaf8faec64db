//! What the plugin plans, as snapshots a person can read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use dlf_core::{
    api::MountSpec,
    plugin::{DatasetRef, Intent, StoragePlugin, StorageRequest},
    source::{NfsSource, Source},
};
use dlf_plugin_nfs::Nfs;
use futures::FutureExt;

fn request() -> StorageRequest {
    request_of("nfs.example.com", "vers=4.1,hard")
}

fn request_of(server: &str, mount_options: &str) -> StorageRequest {
    let source = NfsSource {
        server: server.to_owned(),
        share: "/export/books".to_owned(),
        create: false,
        readonly: true,
        mount_options: mount_options.to_owned(),
    };
    StorageRequest {
        dataset: DatasetRef {
            namespace: "ml".to_owned(),
            name: "books".to_owned(),
            uid: "1-2-3".to_owned(),
            labels: BTreeMap::new(),
        },
        source: Source::Nfs(source),
        mount: MountSpec::default(),
        revalidate_ms: Some(60_000),
        intent: Intent::Exist,
        config: serde_json::Value::Null,
    }
}

fn plan(request: &StorageRequest) -> serde_json::Value {
    // A plan waits for nothing.
    match Nfs.plan(request).now_or_never().unwrap() {
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

#[test]
fn the_look_at_an_export_heeds_the_mounts_port_and_version() {
    let task = |server: &str, options: &str| plan(&request_of(server, options))["tasks"].take();
    insta::assert_json_snapshot!([
        task("nfs.example.com", "hard, port=12049"),
        task("fd00::2", "port=1,port=12049"),
        task("[fd00::2]", ""),
        task("nfs.example.com", "nfsvers=3"),
    ]);
}

#[test]
fn of_a_share_that_is_to_be_made_the_server_is_asked_for() {
    let mut request = request();
    if let Source::Nfs(source) = &mut request.source {
        source.create = true;
    }
    insta::assert_json_snapshot!(plan(&request)["tasks"]);
}

#[test]
fn a_port_behind_the_servers_name() {
    insta::assert_json_snapshot!(plan(&request_of("nfs.example.com:12049", "")));
}
