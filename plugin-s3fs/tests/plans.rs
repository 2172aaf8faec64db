//! What the plugin plans, as snapshots a person can read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use dlf_core::{
    api::MountSpec,
    plugin::{DatasetRef, Intent, StoragePlugin, StorageRequest},
    source::{BucketPath, KeySource, ObjectStoreSource, Source},
};
use dlf_plugin_s3fs::S3fs;
use futures::FutureExt;

fn request() -> (StorageRequest, ObjectStoreSource) {
    let source = ObjectStoreSource {
        endpoint: "https://s3.example.com".to_owned(),
        location: BucketPath {
            bucket: "books".to_owned(),
            prefix: "train/".to_owned(),
        },
        region: "eu".to_owned(),
        keys: KeySource::Secret {
            name: "my-keys".to_owned(),
        },
        ca_secret: Some("my-ca".to_owned()),
        readonly: true,
        provision: false,
        remove_on_delete: false,
    };
    let request = StorageRequest {
        dataset: DatasetRef {
            namespace: "ml".to_owned(),
            name: "books".to_owned(),
            uid: "1-2-3".to_owned(),
            labels: BTreeMap::new(),
        },
        source: Source::ObjectStore(source.clone()),
        mount: MountSpec {
            uid: Some(1000),
            umask: Some("0022".to_owned()),
            ..MountSpec::default()
        },
        revalidate_ms: Some(60_000),
        intent: Intent::Exist,
        config: serde_json::Value::Null,
    };
    (request, source)
}

fn plan(request: &StorageRequest) -> serde_json::Value {
    // A plan waits for nothing.
    match S3fs.plan(request).now_or_never().unwrap() {
        Ok(plan) => serde_json::to_value(plan).unwrap(),
        Err(error) => serde_json::json!({ "reason": error.reason, "message": error.message }),
    }
}

#[test]
fn a_bucket_with_a_prefix_keys_and_a_private_ca() {
    insta::assert_json_snapshot!(plan(&request().0));
}

#[test]
fn an_anonymous_bucket_to_be_provisioned() {
    let (mut request, mut source) = request();
    source.keys = KeySource::Anonymous;
    source.provision = true;
    request.source = Source::ObjectStore(source);
    insta::assert_json_snapshot!(plan(&request));
}

#[test]
fn the_end_of_a_bucket_that_goes_with_its_dataset() {
    let (mut request, mut source) = request();
    source.remove_on_delete = true;
    request.source = Source::ObjectStore(source);
    request.intent = Intent::Delete;
    insta::assert_json_snapshot!(plan(&request)["tasks"]);
}

#[test]
fn a_umask_that_is_none() {
    let (mut request, _) = request();
    request.mount.umask = Some("0999".to_owned());
    insta::assert_json_snapshot!(plan(&request));
}
